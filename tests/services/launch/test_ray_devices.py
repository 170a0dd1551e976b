"""GPUs that Ray sets aside, from a deploy file, and what is said where there is no Ray."""

import importlib.util

import pytest

from bagel.errors import ConfigError
from services.launch.deploy.checks import Served
from services.launch.deploy.load import DeploySources, load_deployment
from services.launch.options import Placement
from services.launch.ray_cluster import require_ray
from services.launch.ray_devices import gpu_shares
from services.launch.topology import topology_of


def shares(deploy_config: str | None, overrides: str | None = None, *, platform: str = "cuda") -> dict[str, float]:
    sources = DeploySources(deploy_config=deploy_config, overrides=overrides)
    deployment = load_deployment(sources, platform, Served(model="toy"))
    return dict(gpu_shares(deployment, topology_of(Placement(), deployment.pipeline), platform))


@pytest.mark.parametrize(
    ("deploy_config", "overrides", "expected"),
    [
        (None, None, {"thinker": 1, "dit": 1}),
        ("bagel_single_stage.yaml", None, {"single": 1}),
        ("bagel_dual_gpu.yaml", None, {"thinker": 1, "dit": 1}),
        ("bagel_single_gpu.yaml", None, {"thinker": 0.5, "dit": 0.5}),
        (None, '{"0": {"devices": "0"}, "1": {"devices": "0", "num_replicas": 2}}',
         {"thinker": 0.3333, "dit": 0.3333, "dit-1": 0.3333}),
        (None, '{"0": {"devices": "0,1"}, "1": {"devices": "1,2"}}', {"thinker": 2, "dit": 2}),
        (None, '{"1": {"devices": "0,1", "num_replicas": 2}}', {"thinker": 1, "dit": 1, "dit-1": 1}),
    ],
)  # fmt: skip
def test_a_device_is_shared_by_all_that_name_it(
    deploy_config: str | None, overrides: str | None, expected: dict[str, float]
) -> None:
    assert shares(deploy_config, overrides) == expected


def test_a_cpu_needs_none() -> None:
    assert set(shares("bagel_dual_gpu.yaml", '{"1": {"num_replicas": 2}}', platform="cpu").values()) == {0.0}


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'bagel-serve\[ray\]'"):
        require_ray(None)
