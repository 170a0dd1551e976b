"""What a node has, without loading torch: its platform, and which devices go to which process."""

import os
from collections.abc import Sequence
from pathlib import Path

from bagel.errors import ConfigError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_NVIDIA, _ROCM = Path("/proc/driver/nvidia/gpus"), Path("/dev/kfd")


def platform_of(device: str, *, visible: str | None, nvidia: Path = _NVIDIA, rocm: Path = _ROCM) -> str:
    """What `--device` means here: cuda, rocm or cpu. `visible` is the environment's list of devices, if it has one."""
    if device == "cpu":
        return "cpu"
    if rocm.exists() and not nvidia.is_dir():
        return "rocm" if visible != "" else "cpu"
    if device != "auto":
        return "cuda"
    has_devices = nvidia.is_dir() and any(nvidia.iterdir())
    return "cuda" if has_devices and visible != "" else "cpu"


def visible_devices() -> str | None:
    """The environment's own list of devices."""
    return os.environ.get(VISIBLE)


def share_devices(devices: str, replicas: int, visible: str | None) -> tuple[str, ...]:
    """Each replica's `CUDA_VISIBLE_DEVICES`: an even share of a stage's `devices`.

    Numbers count what the environment shows already. Raises ConfigError.
    """
    names = [name.strip() for name in devices.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise ConfigError(f"devices {devices!r} must be numbers with commas, each once, such as '0,1'")
    if visible is not None:
        names = [_among(name, [each.strip() for each in visible.split(",")], visible) for name in names]
    if len(names) % replicas == 0:
        each = len(names) // replicas
        return tuple(",".join(names[i * each : (i + 1) * each]) for i in range(replicas))
    if replicas % len(names) == 0:
        return tuple(names[i % len(names)] for i in range(replicas))
    raise ConfigError(
        f"{len(names)} devices cannot be shared out evenly among {replicas} replicas; change devices or num_replicas"
    )


def _among(name: str, shown: Sequence[str], visible: str) -> str:
    if not name.isdigit():
        return name  # a UUID names itself
    if int(name) >= len(shown):
        raise ConfigError(f"devices names {name}, and {VISIBLE}={visible} shows {len(shown)}, counted from 0")
    return shown[int(name)]
