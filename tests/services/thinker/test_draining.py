"""A Thinker that drains finishes what it has accepted, from its first moment on."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from bagel.v1 import settings_pb2
from tests.polling import until
from tests.services.stages import TIMEOUT_S, context_request, running_thinker, text_request


async def test_a_request_that_is_prepared_when_the_drain_begins_counts_and_is_answered() -> None:
    async with running_thinker() as stage:
        kept, thinker = threading.Event(), stage.assembly
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        before = asyncio.create_task(asyncio.to_thread(kept.wait, TIMEOUT_S))  # whatever is prepared stands behind it
        try:
            text = asyncio.create_task(stage.write(text_request()))
            lease = stage.thinker.PrepareContext(context_request(), timeout=TIMEOUT_S)
            handle = asyncio.create_task(anext(event.handle async for event in lease if event.HasField("handle")))
            await until(lambda: thinker.busy == 2, TIMEOUT_S)
            stage.host.monitor.enter(settings_pb2.STAGE_STATE_DRAINING, lambda: "draining")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stage.write(text_request(name="late"))
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert thinker.busy == 2
        finally:
            kept.set()
        assert (await before, (await text).text != "", (await handle).max_pages > 0) == (True, True, True)
        lease.cancel()
        await until(lambda: not thinker.busy, TIMEOUT_S)
