"""A node's platform, and sharing out its devices."""

from pathlib import Path

import pytest

from bagel.errors import ConfigError
from services.launch.machine import platform_of, share_devices


@pytest.mark.parametrize(
    ("device", "visible", "has", "platform"),
    [
        ("auto", None, "", "cpu"),
        ("auto", None, "nvidia", "cuda"),
        ("auto", "", "nvidia", "cpu"),
        ("auto", "0,1", "nvidia", "cuda"),
        ("cpu", None, "nvidia", "cpu"),
        ("cuda:1", None, "", "cuda"),
        ("auto", None, "rocm", "rocm"),
    ],
)
def test_the_platform_is_seen_without_torch(
    tmp_path: Path, device: str, visible: str | None, has: str, platform: str
) -> None:
    if has == "nvidia":
        (tmp_path / "nvidia" / "0000:01:00.0").mkdir(parents=True)
    if has == "rocm":
        (tmp_path / "rocm").touch()
    assert platform_of(device, visible=visible, nvidia=tmp_path / "nvidia", rocm=tmp_path / "rocm") == platform


@pytest.mark.parametrize(
    ("devices", "replicas", "visible", "shares"),
    [
        ("0", 1, None, ("0",)),
        ("0,1", 2, None, ("0", "1")),
        ("0, 1, 2, 3", 2, None, ("0,1", "2,3")),
        ("0", 2, None, ("0", "0")),
        ("0,1", 4, None, ("0", "1", "0", "1")),
        ("1", 1, "4,6", ("6",)),
        ("0,1", 2, "GPU-a,GPU-b", ("GPU-a", "GPU-b")),
        ("GPU-b", 1, "GPU-a,GPU-b", ("GPU-b",)),
    ],
)
def test_replicas_share_the_devices_of_their_stage(
    devices: str, replicas: int, visible: str | None, shares: tuple[str, ...]
) -> None:
    assert share_devices(devices, replicas, visible) == shares


@pytest.mark.parametrize(
    ("devices", "replicas", "visible", "says"),
    [
        ("0,1,2", 2, None, "3 devices cannot be shared out evenly among 2 replicas"),
        ("0,0", 1, None, "each once"),
        ("0,", 1, None, "each once"),
        ("2", 1, "0,1", "devices names 2, and CUDA_VISIBLE_DEVICES=0,1 shows 2"),
    ],
)
def test_devices_that_are_not_there_or_not_enough_are_refused(
    devices: str, replicas: int, visible: str | None, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        share_devices(devices, replicas, visible)
