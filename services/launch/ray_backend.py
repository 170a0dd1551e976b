"""`--worker-backend ray`: the stages of the plan as actors of a Ray cluster, gateway and registry here.

Stages of a cluster may be on any of its nodes, so that they and the gateway always meet at the registry.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bagel import defaults
from bagel.errors import ConfigError
from services.launch.options import Placement, ServeOptions
from services.launch.plan import ChildSpec, Role
from services.launch.process import Starter
from services.launch.ray_actor import THREADS, StageOrder
from services.launch.ray_cluster import joined_cluster, own_host, require_ray

TEMP_FOLDER = "ray"


def ray_placement(options: ServeOptions) -> Placement:
    """Where the registry is, unless it was said. Raises ConfigError: no Ray, or flags that mean nothing with it."""
    require_ray(options.ray_address)
    asked = options.placement
    for flag, value in (("--bind", asked.bind), ("--advertise-address", asked.advertise_address)):
        if value is not None:
            raise ConfigError(
                f"{flag} {value}: with --worker-backend ray every stage takes the address of the node that Ray puts it"
                " on; leave it out"
            )
    if asked.master_address is not None or asked.headless:
        return asked
    return replace(
        asked, master_address=own_host(options.ray_address), master_port=asked.master_port or defaults.MASTER_PORT
    )


@contextmanager
def ray_starter(
    options: ServeOptions, children: Sequence[ChildSpec], gpus: Mapping[str, float], runtime: Path,
    stage_file: Path | None,
) -> Iterator[Starter]:  # fmt: skip
    """What starts the children while the cluster is there. From the main thread. Raises ConfigError."""
    files = {} if stage_file is None else {str(stage_file): stage_file.read_text(encoding="utf-8")}
    orders = {
        spec.name: StageOrder(
            spec=spec, files=files, threads=os.environ.get(THREADS), log_format=options.log_format,
            log_level=options.log_level,
        )
        for spec in children
        if spec.role is Role.STAGE
    }  # fmt: skip
    with joined_cluster(options.ray_address, runtime / TEMP_FOLDER, num_stages=len(orders)):
        from services.launch.ray_running import RayStarter

        yield RayStarter(orders, gpus)
