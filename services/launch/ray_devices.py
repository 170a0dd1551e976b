"""How many GPUs Ray sets aside for each process, from the devices of a deploy file. Pure.

Ray chooses which ones. A device that several processes name is shared by them: Ray puts fractions onto one GPU.
"""

import math
from collections import Counter
from collections.abc import Mapping

from services.launch.deploy.load import Deployment
from services.launch.machine import share_devices
from services.launch.plan import replica_name
from services.launch.topology import Topology

_PARTS = 10_000  # of a GPU, as finely as Ray counts


def gpu_shares(deployment: Deployment, topology: Topology, platform: str) -> Mapping[str, float]:
    """GPUs by the name of the process; none on a CPU, one where no device is named. Raises ConfigError."""
    named = {}
    for stage in topology.stages:
        fields = deployment.fields_of(stage)
        count = fields.num_replicas or 1
        shares = (None,) * count if fields.devices is None else share_devices(fields.devices, count, None)
        named.update({replica_name(stage, index): share for index, share in enumerate(shares)})
    if platform == "cpu":
        return dict.fromkeys(named, 0.0)
    users = Counter(device for share in named.values() if share is not None for device in share.split(","))
    return {name: 1.0 if share is None else _gpus(share, users) for name, share in named.items()}


def _gpus(share: str, users: Counter[str]) -> float:
    wanted = math.floor(sum(_PARTS / users[device] for device in share.split(","))) / _PARTS
    return wanted if wanted <= 1 else float(math.ceil(wanted))  # Ray has no one and a half
