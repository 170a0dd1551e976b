"""Pictures that came from outside are decoded here first, in processes of their own with bounded time and memory.

Owns those processes: starts them with the gateway, ends one that takes too long and replaces it. The gateway itself
never decodes what nobody has looked at.
"""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from bagel.errors import RequestError
from bagel.limits import DECODE_S, REQUEST_PIXELS
from bagel.logs import get_logger
from services.gateway.decoding_worker import HEAD, LENGTH

START_S = 30.0
REAP_S = 1.0
_COMMAND = (sys.executable, "-m", "services.gateway.decoding_worker")


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What a picture turned out to be."""

    width: int
    height: int
    bands: tuple[str, ...]


class DecodingPool:
    """Processes that decode; one picture each at a time. Belongs to one event loop."""

    def __init__(self, size: int, *, decode_s: float = DECODE_S.most) -> None:
        self._decode_s = decode_s
        self._workers = [_Worker() for _ in range(size)]
        self._free: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for worker in self._workers:
            self._free.put_nowait(worker)

    async def start(self) -> None:
        """Start every process, so that the first request does not wait for one."""
        await asyncio.gather(*(worker.start() for worker in self._workers))

    async def close(self) -> None:
        """End every process."""
        for worker in self._workers:
            worker.kill()

    async def check(self, pictures: Sequence[tuple[str, bytes]]) -> list[PictureInfo]:
        """Decode a request's pictures, each beside its field's name, one after the other. Raises RequestError."""
        found, pixels = [], 0
        for param, data in pictures:
            info = await self._look(param, data)
            pixels += info.width * info.height
            if pixels > REQUEST_PIXELS.most:
                message = f"{param}: the pictures have over {REQUEST_PIXELS.most} pixels together"
                raise RequestError(message, param=param)
            found.append(info)
        return found

    async def _look(self, param: str, data: bytes) -> PictureInfo:
        async with self._borrowed() as worker:
            try:
                async with asyncio.timeout(START_S):
                    await worker.start()
                async with asyncio.timeout(self._decode_s):
                    answer = await worker.ask(param, data)
            except (TimeoutError, EOFError, OSError) as error:
                late = isinstance(error, TimeoutError)
                get_logger().warning("decoder_ended", late=late, param=param, picture_bytes=len(data))
                reason = f"took over {self._decode_s:g} s to decode" if late else "could not be decoded"
                raise RequestError(f"{param}: the picture {reason}; send a plainer file", param=param) from None
        match answer:
            case {"width": int(width), "height": int(height), "bands": list(bands)}:
                return PictureInfo(width, height, tuple(map(str, bands)))
            case {"error": str(message)}:
                raise RequestError(message, param=param)
            case _:
                raise AssertionError(f"no answer of a decoder: {answer}")

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator["_Worker"]:
        """A worker for the time of a block; one whose answer is still owed afterwards is replaced."""
        worker = await self._free.get()
        try:
            yield worker
        except BaseException:
            worker.kill()
            raise
        finally:
            self._free.put_nowait(worker)


class _Worker:
    """One process, started when it is needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        # One may have died while nobody used it.
        if self._process is not None and self._process.poll() is None:
            return
        self.kill()
        ours, theirs = socket.socketpair()
        with theirs:
            # Not by the event loop: uvloop forks, and what gRPC's threads hold at that moment stays held in the child.
            # A session of its own: Ctrl-C is for the gateway, whose end closes the worker's stdin.
            self._process = subprocess.Popen(
                _COMMAND,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)

    async def ask(self, param: str, data: bytes) -> object:
        """The answer to one frame. Raises EOFError and OSError when the process ends instead."""
        assert self._reader is not None
        assert self._writer is not None
        name = param.encode()
        self._writer.write(HEAD.pack(len(name), len(data)) + name)
        self._writer.write(data)
        await self._writer.drain()
        (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
        return json.loads(await self._reader.readexactly(length))

    def kill(self) -> None:
        """Forget the process and end it."""
        process, self._process = self._process, None
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
        if process is not None:
            process.kill()
            with suppress(subprocess.TimeoutExpired):  # a killed process is over in no time
                process.wait(REAP_S)
