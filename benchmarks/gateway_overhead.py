"""What the gateway adds: `python -m benchmarks.gateway_overhead`.

Starts a server with random weights of the default model's sizes and asks for the same thing in turns, through the
gateway over HTTP and from the stages over gRPC, as the gateway itself does: the first token of a text, and a picture of
about 1 MB. Then holds 500 streams that wait in line. Prints medians of paired differences and the gateway's memory.
"""

import argparse
import asyncio
import base64
import http.client
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from bagel.logs import configure_logs
from services.gateway.calls import Call
from services.gateway.happenings import Drawn, TextDelta
from services.gateway.image_schemas import parse_generation
from services.gateway.image_tasks import make_image_task
from services.gateway.pipeline import run
from services.gateway.schemas import parse_chat_request
from services.gateway.stages import Stages
from services.gateway.tasks import Task, make_task
from tests.e2e.server import Server, running_server

TEXT = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 4}
PICTURE = {"prompt": "a red circle", "size": "768x512", "num_inference_steps": 2, "seed": 5}
LONG = {"prompt": "a red circle", "size": "768x768", "num_inference_steps": 1000}
STREAMS = 500
A, B = TypeVar("A"), TypeVar("B")
FIRST_TOKEN_MS, PICTURE_MS, STREAMS_MB = 2.0, 20.0, 100.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args(argv)
    configure_logs(service="bench", fmt="text", level="warning", stream=sys.stderr)
    room = ("--max-queue", str(20 * STREAMS), "--max-running", "1")
    with running_server("--load-format", "dummy", *room) as server:
        return asyncio.run(measure(server, options.rounds))


async def measure(server: Server, rounds: int) -> int:
    """Both differences, then the streams."""
    stages = Stages()
    stages.add("thinker", server.thinker)
    stages.add("dit", server.dit)
    while stages.missing():
        await asyncio.sleep(0.05)
    limits = stages.limits()
    text = make_task(parse_chat_request(TEXT), [], limits)
    picture = make_image_task(parse_generation(PICTURE), [], limits)
    address = server.http.base_url.host, server.http.base_url.port
    tokens, pictures = [], []
    for number in range(rounds + 3):
        pair = await in_turns(number, first_token(stages, text, number), asyncio.to_thread(http_first_token, address))
        if number >= 3:
            tokens.append(pair)
    for number in range(rounds // 2 + 1):
        (data, direct), (body, through) = await in_turns(
            number, drawn(stages, picture, number), asyncio.to_thread(http_picture, address)
        )
        assert base64.b64decode(json.loads(body)["data"][0]["b64_json"]) == data
        if number >= 1:
            pictures.append((direct, through))
    await stages.close()
    added_token = report("first token of a text", tokens, FIRST_TOKEN_MS)
    added_picture = report(f"picture of {len(data) / 1e6:.2f} MB", pictures, PICTURE_MS)
    held = await hold_streams(server, address)
    print(f"{STREAMS} streams that wait: {held:.1f} MB (at most {STREAMS_MB:g})")
    return int(added_token > FIRST_TOKEN_MS or added_picture > PICTURE_MS or held > STREAMS_MB)


async def in_turns(number: int, direct: Awaitable[A], through: Awaitable[B]) -> tuple[A, B]:
    """Both, one after the other; who goes first changes from round to round, so that a drift favours neither."""
    if number % 2:
        return await direct, await through
    second = await through
    return await direct, second


def report(what: str, pairs: Sequence[tuple[float, float]], most_ms: float) -> float:
    """Print and return the median of what the gateway added, in ms."""
    direct, through = (statistics.median(side) * 1e3 for side in zip(*pairs, strict=True))
    added = statistics.median((b - a) * 1e3 for a, b in pairs)
    print(f"{what}: {direct:.2f} ms from the stages, {through:.2f} ms through the gateway, added {added:.2f} ms"
          f" (at most {most_ms:g}), {len(pairs)} pairs")  # fmt: skip
    return added


def call(number: int, name: str) -> Call:
    return Call(f"bench-{name}-{number}", time.monotonic() + 60)


async def first_token(stages: Stages, task: Task, number: int) -> float:
    """Seconds from the stages."""
    started = time.monotonic()
    first = None
    async for what in run(task, stages, call(number, "text")):
        if first is None and isinstance(what, TextDelta):
            first = time.monotonic() - started
    assert first is not None
    return first


def http_first_token(address: tuple[str, int]) -> float:
    """Seconds through the gateway."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.connect()
    body = json.dumps({**TEXT, "stream": True})
    started = time.monotonic()
    connection.request("POST", "/v1/chat/completions", body)
    response, first = connection.getresponse(), None
    for line in response:
        if first is None and line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
            first = time.monotonic() - started
    connection.close()
    assert first is not None
    return first


async def drawn(stages: Stages, task: Task, number: int) -> tuple[bytes, float]:
    """The picture and its seconds, from the stages."""
    started, data = time.monotonic(), b""
    async for what in run(task, stages, call(number, "picture")):
        if isinstance(what, Drawn):
            data = what.data
    return data, time.monotonic() - started


def http_picture(address: tuple[str, int]) -> tuple[bytes, float]:
    """The answer's body and its seconds, through the gateway."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.connect()
    started = time.monotonic()
    connection.request("POST", "/v1/images/generations", json.dumps(PICTURE))
    body = connection.getresponse().read()
    spent = time.monotonic() - started
    connection.close()
    return body, spent


async def hold_streams(server: Server, address: tuple[str, int]) -> float:
    """MB that the gateway takes for streams which wait behind one long picture."""
    before = resident_mb(server)
    blocking = await open_stream(address, LONG)
    waiting = await asyncio.gather(*(open_stream(address, PICTURE) for _ in range(STREAMS)))
    held = resident_mb(server) - before
    for _, writer in (*waiting, blocking):
        writer.close()
    await asyncio.to_thread(server.wait_idle)
    return held


async def open_stream(
    address: tuple[str, int], body: dict[str, Any]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream that has said its first word."""
    reader, writer = await asyncio.open_connection(*address)
    data = json.dumps({**body, "stream": True}).encode()
    head = f"POST /v1/images/generations HTTP/1.1\r\nhost: bench\r\ncontent-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    async with asyncio.timeout(60):
        while not (await reader.readline()).startswith(b":"):
            pass
    return reader, writer


def resident_mb(server: Server) -> float:
    with open(f"/proc/{server.pids['gateway']}/status") as status:
        kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return kib * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())
