"""`python -m services.launch.single` as a process: flags, signals, draining."""

import asyncio
import signal

from bagel.rpc import open_channel
from bagel.v1 import dit_pb2_grpc, settings_pb2, thinker_pb2_grpc
from tests.polling import BREATH_S
from tests.processes import Process, running_stage
from tests.services.stages import TIMEOUT_S, context_request, draw, drawn, text_request

MODEL = ("--model", "tests/golden/checkpoint", "--device", "cpu", "--threads", "1", "--kv-pool-tokens", "2048")
LIMITS = (
    "--tasks", "text2text,text2img", "--max-num-seqs", "2", "--max-num-batched-tokens", "64",
    "--max-model-len", "600", "--gpu-memory-utilization", "0.5",
)  # fmt: skip


async def drain_while_a_picture_runs(process: Process, address: str) -> tuple[bytes, str]:
    """Ask for a picture and a text, tell the process to stop, and get both."""
    async with open_channel(address) as channel:
        thinker, dit = thinker_pb2_grpc.ThinkerStub(channel), dit_pb2_grpc.DitStub(channel)
        status = await dit.GetStatus(settings_pb2.GetStatusRequest(), timeout=TIMEOUT_S)
        assert (status.model.max_context_tokens, list(status.model.tasks)) == (600, ["text2img"])
        drawing = asyncio.create_task(draw(thinker, dit, context_request("A cat"), steps=150))
        while not (drawing.done() or (await dit.GetStatus(settings_pb2.GetStatusRequest(), timeout=TIMEOUT_S)).running):
            await asyncio.sleep(BREATH_S)
        writing = thinker.GenerateText(text_request(max_tokens=40), timeout=TIMEOUT_S)
        said = ""
        async for event in writing:
            if event.HasField("queued"):  # it is accepted
                process.send(signal.SIGTERM)
            said += event.delta.text
        return drawn(await drawing), said


def test_a_signal_lets_both_engines_finish_and_the_process_ends_well() -> None:
    with running_stage("services.launch.single", *MODEL, *LIMITS) as (process, address):
        picture, said = asyncio.run(drain_while_a_picture_runs(process, address))
        assert process.wait_exit() == 0
    assert picture.startswith(b"\x89PNG")
    assert said
    assert any('"unfinished": 0' in line for line in process.lines), process.tail()
    assert any("gpu_memory_utilization_ignored" in line for line in process.lines), process.tail()
