"""What all tests in one process share: one event loop after the other, and gRPC's one poller thread beneath them."""

import grpc.aio
from hypothesis import settings

# Held to the end: a loop that closes with hundreds of events unread leaves the poller thread standing in a full socket,
# and when the last channel is collected, grpc.aio would wait for that thread for ever. The next loop reads it empty.
grpc.aio.init_grpc_aio()

# Drawn examples are judged by what they say: on a busy machine any of them may stand still for a while.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
