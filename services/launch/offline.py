"""All four tasks without a server: the engines of one node in this process, for scripts and notebooks.

    from services.launch.offline import Offline, OfflineOptions, Prompt

    with Offline(OfflineOptions(model="toy")) as bagel:
        for made in bagel.generate([Prompt(text="A red cat", draws=True), Prompt(text="Hello", draws=False)]):
            print(made.index, made.error or made.text or made.picture[:4])

A prompt means what it means over HTTP: same fields, defaults and bounds, same bytes for the same seed.
"""

import asyncio
import queue
import tempfile
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bagel import defaults
from bagel.checkpoint import ModelSource, resolve_model
from bagel.device_thread import DeviceThread
from bagel.errors import ConfigError
from bagel.stage_flags import StageConfig
from services.gateway.sampling_defaults import parse_sampling_defaults
from services.gateway.stages import Stages
from services.launch.deploy.load import DeploySources, load_deployment
from services.launch.deploy.sampling import default_sampling
from services.launch.machine import platform_of, visible_devices
from services.launch.offline_engines import limits_of, running_engines
from services.launch.offline_prompts import Answering, Made, Prompt, Watch
from services.launch.pipelines import detect_pipeline
from services.launch.serve import served_model

__all__ = ["Made", "Offline", "OfflineOptions", "Prompt", "Watch"]
STOP_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineOptions:
    """What is loaded, and how. `at_once`: prompts on their way together; None: what the deployment says, or 8."""

    model: str = defaults.MODEL
    deploy: DeploySources = field(default_factory=DeploySources)
    load_format: str = "auto"
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 0
    kv_pool_tokens: int = defaults.KV_POOL_TOKENS
    at_once: int | None = None
    init_timeout_s: float = 300.0
    prompt_timeout_s: float = 3600.0


class Offline:
    """A model, there from `open` to `close`, or in a `with`. A thread of its own works; one `generate` at a time."""

    def __init__(self, options: OfflineOptions) -> None:
        """Raises ConfigError for what can be seen before anything is fetched or loaded."""
        self._options = options
        platform = platform_of(options.device, visible=visible_devices())
        deployment = load_deployment(options.deploy, platform, served_model(options.model, options.load_format))
        limits, self.translated = limits_of(deployment, platform), deployment.translated
        self.unused, self._flags = limits.unused, limits.flags
        named = limits.device if options.device == "auto" else None
        self._device = named or options.device
        self.at_once = options.at_once or limits.at_once or defaults.MAX_RUNNING
        self._sampling = parse_sampling_defaults(default_sampling(deployment), think=deployment.pipeline.think)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._serving: Future[None] | None = None
        self._stages: Future[Stages] = Future()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def open(self) -> Self:
        """Load the model. Blocking. Raises ConfigError, also when it is not there in time."""
        options, self._stages = self._options, Future()
        source = resolve_model(options.model, load_format=options.load_format, revision=options.revision)
        detect_pipeline(source.folder)
        thread = ThreadPoolExecutor(1, thread_name_prefix="offline")
        self._serving = thread.submit(lambda: asyncio.run(self._serve(source)))
        thread.shutdown(wait=False)
        loaded = False
        try:
            self._wait_loaded(self._serving)
            loaded = True
        finally:
            if not loaded:
                self._give_up()
        return self

    def _wait_loaded(self, serving: Future[None]) -> None:
        options = self._options
        either: list[Future[Any]] = [serving, self._stages]
        waited = wait(either, options.init_timeout_s, return_when=FIRST_COMPLETED)
        if serving in waited.done:
            serving.result()
        if self._stages not in waited.done:
            raise ConfigError(f"{options.model} was not loaded within {options.init_timeout_s:g} s; give it more time")

    def _give_up(self) -> None:
        """Let the thread end, at the latest once the model is there: Python waits for it when it exits."""
        if not self._stages.cancel() and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def close(self) -> None:
        """End what is left, and give the memory back. Nothing where nothing is open."""
        if self._loop is None or self._stop is None or self._serving is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._serving.result(STOP_S)
        self._loop = None

    def generate(
        self, prompts: Sequence[Prompt], watch: Watch = lambda index, what: None
    ) -> Generator[Made, None, None]:  # fmt: skip
        """What becomes of each prompt, as it is finished. `watch` hears of steps and words, in another thread.

        Closing it early stops what is on its way. Raises ConfigError unless it is open.
        """
        if self._loop is None:
            raise ConfigError("this Offline is not open: use it in a `with`, or call open() first")
        done: queue.SimpleQueue[Made | None] = queue.SimpleQueue()
        work = asyncio.run_coroutine_threadsafe(self._answer_all(prompts, watch, done), self._loop)
        work.add_done_callback(lambda _: done.put(None))
        try:
            while (made := done.get()) is not None:
                yield made
            work.result()
        finally:
            work.cancel()

    async def _answer_all(
        self, prompts: Sequence[Prompt], watch: Watch, done: "queue.SimpleQueue[Made | None]"
    ) -> None:  # fmt: skip
        room = asyncio.Semaphore(self.at_once)
        answering = Answering(self._stages.result(), self._sampling, self._options.prompt_timeout_s, room, watch)

        async def answer(index: int, prompt: Prompt) -> None:
            done.put(await answering.answer(index, prompt))

        async with asyncio.TaskGroup() as group:
            for index, prompt in enumerate(prompts):
                group.create_task(answer(index, prompt))

    async def _serve(self, source: ModelSource) -> None:
        """Load, say so, and stay until told to stop."""
        with tempfile.TemporaryDirectory(prefix="bagel-") as folder, DeviceThread() as device:
            async with running_engines(self._config(source, Path(folder)), device) as stages:
                self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
                if self._stages.set_running_or_notify_cancel():
                    self._stages.set_result(stages)
                    await self._stop.wait()
                else:
                    self._loop = None

    def _config(self, source: ModelSource, folder: Path) -> StageConfig:
        options = self._options
        return StageConfig(
            model=str(source.folder), model_name=source.name, load_format="dummy" if source.dummy else "safetensors",
            device=self._device, dtype=options.dtype, threads=options.threads,
            kv_pool_tokens=options.kv_pool_tokens, bind=f"unix:{folder}/engines.sock", **self._flags,
        )  # fmt: skip
