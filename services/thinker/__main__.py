"""`python -m services.thinker`: a Thinker's process."""

import argparse
import sys

from prometheus_client import CollectorRegistry

from bagel.device_thread import DeviceThread
from bagel.model.noise import NoiseSource, SeededNoise
from bagel.model.opening import load_stage, open_model
from bagel.model.stages import ThinkerModel, ThinkerParts
from bagel.stage import StageHost, StageMonitor, StageParts, run_stage
from bagel.stage_flags import StageConfig, add_stage_flags, parse_stage_config
from bagel.tasks import read_tasks
from services.thinker.assembly import KIND, SERVICES, STAGE_ID, STATUSES, ThinkerAssembly
from transport.memory import MemoryHub
from transport.open import open_planes
from transport.stage import connectors_of


def main(argv: list[str] | None = None) -> int:
    """Parse flags and run."""
    parser = argparse.ArgumentParser(prog="bagel-thinker", description="The Thinker of a BAGEL deployment.")
    add_stage_flags(parser)
    return run_thinker(parse_stage_config(parser, argv), SeededNoise())


def run_thinker(config: StageConfig, noise: NoiseSource) -> int:
    """Run until a signal; the exit status."""

    def parts(monitor: StageMonitor, device: DeviceThread) -> StageParts:
        host = StageHost(config=config, monitor=monitor, device=device, registry=CollectorRegistry())
        planes = open_planes(connectors_of(config, STAGE_ID).planes, MemoryHub())
        thinker = ThinkerAssembly(host, planes, noise)

        def load() -> None:
            opened, held = open_model(config), ThinkerParts.of(read_tasks(config.tasks))
            thinker.start(opened, load_stage(opened, lambda: ThinkerModel(opened.config, held), config, monitor))

        return StageParts(
            registry=host.registry,
            services=SERVICES,
            statuses=STATUSES,
            add_services=thinker.add_services,
            load=load,
            run=thinker.run,
            busy=lambda: thinker.busy,
            kinds=(KIND,),
            measure=thinker.load,
            close=planes.close,
        )

    return run_stage("thinker", config, parts)


if __name__ == "__main__":
    sys.exit(main())
