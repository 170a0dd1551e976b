"""`python -m services.dit`: a DiT's process."""

import argparse
import sys

from prometheus_client import CollectorRegistry

from bagel.device_thread import DeviceThread
from bagel.model.noise import NoiseSource, SeededNoise
from bagel.model.opening import load_stage, open_model
from bagel.model.stages import DitModel
from bagel.stage import StageHost, StageMonitor, StageParts, run_stage
from bagel.stage_flags import StageConfig, add_stage_flags, parse_stage_config
from bagel.tokens import read_special_tokens
from services.dit.assembly import KIND, SERVICES, STAGE_ID, STATUSES, DitAssembly, Reading
from services.dit.engine import Observe, observe_no_request
from transport.memory import MemoryHub
from transport.open import open_planes
from transport.stage import connectors_of


def main(argv: list[str] | None = None) -> int:
    """Parse flags and run."""
    parser = argparse.ArgumentParser(prog="bagel-dit", description="A DiT of a BAGEL deployment.")
    add_stage_flags(parser)
    return run_dit(parse_stage_config(parser, argv), SeededNoise())


def run_dit(config: StageConfig, noise: NoiseSource, observe: Observe = observe_no_request) -> int:
    """Run until a signal; the exit status. `observe` sees what the engine computes."""

    def parts(monitor: StageMonitor, device: DeviceThread) -> StageParts:
        host = StageHost(config=config, monitor=monitor, device=device, registry=CollectorRegistry())
        connectors = connectors_of(config, STAGE_ID)
        planes = open_planes(connectors.planes, MemoryHub())
        dit = DitAssembly(host, Reading(planes, connectors.inline_bytes), noise, observe)

        def load() -> None:
            opened = open_model(config)
            markers = read_special_tokens(opened.source.folder).markers
            dit.start(opened, load_stage(opened, lambda: DitModel(opened.config, markers), config, monitor))

        return StageParts(
            registry=host.registry,
            services=SERVICES,
            statuses=STATUSES,
            add_services=dit.add_services,
            load=load,
            run=dit.run,
            busy=lambda: dit.busy,
            kinds=(KIND,),
            measure=dit.load,
            close=planes.close,
        )

    return run_stage("dit", config, parts)


if __name__ == "__main__":
    sys.exit(main())
