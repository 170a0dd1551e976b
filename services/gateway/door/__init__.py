"""The tasks over gRPC, for other services (`protos/bagel/v1/bagel.proto`)."""
