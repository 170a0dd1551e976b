"""What all tests in one process share: one event loop after the other, and gRPC's one poller thread beneath them."""

import grpc.aio

# Held to the end: a loop that closes with hundreds of events unread leaves the poller thread standing in a full socket,
# and when the last channel is collected, grpc.aio would wait for that thread for ever. The next loop reads it empty.
grpc.aio.init_grpc_aio()
