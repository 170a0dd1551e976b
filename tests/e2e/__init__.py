"""The whole system: real processes, real sockets, real HTTP and gRPC."""
