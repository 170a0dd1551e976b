"""`python -m services.launch.single`: Thinker and DiT in one process, over one set of weights and one KV pool.

The same engines as in processes of their own. They hand their pieces of work to one device thread, which takes them in
turns; the DiT looks at the Thinker's pages where they lie. One address serves both, and KvSource. Where there are other
processes, it reads their contexts too, and they read its own.
"""

import argparse
import asyncio
import sys

import grpc
from prometheus_client import CollectorRegistry

from bagel.device_thread import DeviceThread
from bagel.members import Load
from bagel.model.noise import NoiseSource, SeededNoise
from bagel.model.opening import load_stage, open_model
from bagel.model.stages import ThinkerParts, WholeModel
from bagel.stage import StageHost, StageMonitor, StageParts, run_stage
from bagel.stage_flags import StageConfig, add_stage_flags, parse_stage_config
from bagel.tasks import read_tasks
from bagel.tokens import read_special_tokens
from services.dit import assembly as dits
from services.dit.engine import Observe, observe_no_request
from services.thinker import assembly as thinkers
from transport.configs import MemoryConfig
from transport.memory import MemoryHub
from transport.open import open_planes
from transport.planes import Planes
from transport.stage import connectors_of

SERVICES = (*thinkers.SERVICES, *dits.SERVICES)
STATUSES = thinkers.STATUSES | dits.STATUSES


def main(argv: list[str] | None = None) -> int:
    """Parse flags and run."""
    parser = argparse.ArgumentParser(prog="bagel-single", description="A Thinker and a DiT in one process.")
    add_stage_flags(parser)
    return run_single(parse_stage_config(parser, argv), SeededNoise())


def run_single(config: StageConfig, noise: NoiseSource, observe: Observe = observe_no_request) -> int:
    """Run until a signal; the exit status. `observe` sees what the DiT's engine computes."""

    def parts(monitor: StageMonitor, device: DeviceThread) -> StageParts:
        host = StageHost(config=config, monitor=monitor, device=device, registry=CollectorRegistry())
        single = SingleAssembly(host, noise, observe)
        return StageParts(
            registry=host.registry,
            services=SERVICES,
            statuses=STATUSES,
            add_services=single.add_services,
            load=single.start,
            run=single.run,
            busy=lambda: single.busy,
            kinds=(thinkers.KIND, dits.KIND),
            measure=single.load,
            close=single.close,
        )

    return run_stage("single", config, parts)


class SingleAssembly:
    """A Thinker and a DiT over one model. Owns the data planes between them, and to others."""

    def __init__(self, host: StageHost, noise: NoiseSource, observe: Observe) -> None:
        self._host, hub = host, MemoryHub()
        self._planes = [planes_of(host.config, stage_id, hub) for stage_id in (thinkers.STAGE_ID, dits.STAGE_ID)]
        serving, reading = self._planes
        self.thinker = thinkers.ThinkerAssembly(host, serving, noise)
        self.dit = dits.DitAssembly(host, dits.Reading(reading, host.config.kv_inline_bytes), noise, observe)

    def add_services(self, server: grpc.aio.Server) -> None:
        """Serve `SERVICES`; what needs the model is refused until `start`."""
        self.thinker.add_services(server)
        self.dit.add_services(server)

    def start(self) -> None:
        """Load the model and build both engines. On the device thread. Raises ConfigError."""
        config = self._host.config
        opened, held = open_model(config), ThinkerParts.of(read_tasks(config.tasks))
        markers = read_special_tokens(opened.source.folder).markers
        whole = load_stage(opened, lambda: WholeModel(opened.config, markers, held), config, self._host.monitor)
        beside_bytes = self.dit.pages_beside(opened.layout) * opened.layout.page_bytes
        pool_tokens = self.thinker.start(opened, whole.thinker, beside_bytes=beside_bytes)
        self.dit.start(opened, whole.dit, shown_tokens=pool_tokens)

    async def run(self) -> None:
        """Work until cancelled. After `start`."""
        await asyncio.gather(self.thinker.run(), self.dit.run())

    @property
    def busy(self) -> int:
        """Requests that are prepared, wait, run or are leased."""
        return self.thinker.busy + self.dit.busy

    def load(self) -> Load:
        """How busy it is, for a master. Both kinds share the device, so that each is as busy as both."""
        text, picture = self.thinker.load(), self.dit.load()
        running, queued = text.running + picture.running, text.queued + picture.queued
        return Load(running=running, queued=queued, free_pages=text.free_pages)

    def close(self) -> None:
        """Close the planes."""
        for planes in self._planes:
            planes.close()


def planes_of(config: StageConfig, stage_id: int, hub: MemoryHub) -> Planes:
    """Within the process first; then, where a transport or a master is named, what a stage of its own has.

    Raises ConfigError.
    """
    own = MemoryConfig(verify_always=config.kv_verify == "always")
    alone = config.transport == "auto" and config.master is None
    others = () if alone else connectors_of(config, stage_id).planes
    return open_planes((own, *(plane for plane in others if not isinstance(plane, MemoryConfig))), hub)


if __name__ == "__main__":
    sys.exit(main())
