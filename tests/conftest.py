"""What all tests share: which of them run in one process, and gRPC's one poller thread beneath them."""

import grpc.aio
import pytest

# Fixtures that many files share. What uses none of them is kept together by its file.
SHARED = {"shared_server", "shared_default_server", "browser"}

# Held to the end: a loop that closes with hundreds of events unread leaves the poller thread standing in a full socket,
# and when the last channel is collected, grpc.aio would wait for that thread for ever. The next loop reads it empty.
grpc.aio.init_grpc_aio()


@pytest.hookimpl(tryfirst=True)  # pytest-xdist's own hook reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell pytest-xdist, where it is used, what to keep together."""
    for item in items:
        assert isinstance(item, pytest.Function)
        group = "servers" if SHARED & set(item.fixturenames) else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
