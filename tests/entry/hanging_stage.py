"""`python -m tests.entry.hanging_stage`: a stage without a model, whose device stands still from the beginning."""

import argparse
import sys
import time

from prometheus_client import CollectorRegistry

from bagel.device_thread import DeviceThread
from bagel.members import Kind, Load
from bagel.stage import StageMonitor, StageParts, run_stage
from bagel.stage_flags import add_stage_flags, parse_stage_config
from bagel.v1 import dit_pb2_grpc, settings_pb2
from bagel.waiting import finish

HANGS_S = 600.0


class Dit(dit_pb2_grpc.DitServicer):
    """Says how the stage is, and does nothing else."""

    def __init__(self, monitor: StageMonitor) -> None:
        self._monitor = monitor

    async def GetStatus(self, request: settings_pb2.GetStatusRequest, context: object) -> settings_pb2.StageStatus:
        return self._monitor.status()


def hanging(monitor: StageMonitor, device: DeviceThread) -> StageParts:
    """Joins as a DiT, loads nothing, and hands one piece to the device, which never ends."""

    async def run() -> None:
        await finish(device.run(time.sleep, HANGS_S))

    return StageParts(
        registry=CollectorRegistry(),
        services=("bagel.v1.Dit",),
        kinds=(Kind.DIT,),
        statuses={},
        add_services=lambda server: dit_pb2_grpc.add_DitServicer_to_server(Dit(monitor), server),
        load=lambda: monitor.find_model("none", "none"),
        run=run,
        busy=lambda: 0,
        measure=Load,
        close=lambda: None,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_stage_flags(parser)
    sys.exit(run_stage("hanging", parse_stage_config(parser, sys.argv[1:]), hanging))
