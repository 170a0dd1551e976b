"""The `connectors:` of a deploy file: what each key changes, and one clear message for each mistake."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bagel.errors import ConfigError
from bagel.stage_flags import StageConfig
from transport.configs import MooncakeConfig, MooncakeStoreConfig, ShmConfig, ZeroMqConfig
from transport.connectors import stage_connectors
from transport.stage import connectors_of

CONNECTORS: dict[str, Any] = {
    "fast": {"name": "SharedMemoryConnector", "extra": {"shm_threshold_bytes": 7, "socket": "/x", "verify": "always"}},
    "plain": {"name": "SharedMemoryConnector"},
    "far": {"name": "ZeroMQConnector", "extra": {"bind": "tcp://[::]:5", "advertise_host": "h", "connections": 3}},
    "rdma": {
        "name": "MooncakeTransferEngineConnector",
        "extra": {"host": "10.0.0.1", "protocol": "tcp", "device_name": "mlx5_0", "zmq_port": 50051,
                  "memory_pool_size": 4294967296, "memory_pool_device": "cpu"},
    },
    "store": {
        "name": "MooncakeStoreConnector",
        "extra": {"host": "127.0.0.1", "metadata_server": "http://m:8080/metadata", "master": "m:50051",
                  "segment": 5, "localbuf": 6, "proto": "tcp"},
    },
}  # fmt: skip


def deploy(*used: str, **changed: Any) -> dict[str, Any]:
    stages = [
        {"stage_id": 0, "output_connectors": {"to_stage_1": list(used)}},
        {"stage_id": 1, "input_connectors": {"from_stage_0": used[0] if len(used) == 1 else list(used)}},
    ]
    return {"connectors": CONNECTORS, "stages": stages, **changed}


def test_every_key_reaches_the_plane_s_configuration() -> None:
    found = stage_connectors(deploy("fast", "far", "rdma", "store"), 0)

    assert found is not None
    assert found.planes == (
        ShmConfig(socket="/x", verify_always=True),
        ZeroMqConfig(bind="tcp://[::]:5", advertise_host="h", connections=3),
        MooncakeConfig(host="10.0.0.1", protocol="tcp", device="mlx5_0"),
        MooncakeStoreConfig(
            host="127.0.0.1", master="m:50051", metadata_server="http://m:8080/metadata", protocol="tcp",
            segment_bytes=5, buffer_bytes=6,
        ),
    )  # fmt: skip
    assert found.inline_bytes == 65_536


@pytest.mark.parametrize("stage_id", [0, 1])
def test_both_ends_of_an_edge_take_the_same_connector(stage_id: int) -> None:
    found = stage_connectors(deploy("fast"), stage_id)

    assert found is not None
    assert (found.planes, found.inline_bytes) == ((ShmConfig(socket="/x", verify_always=True),), 7)


def test_a_stage_without_connectors_has_none() -> None:
    assert stage_connectors(deploy("fast"), 2) is None
    assert stage_connectors({"stages": [{"stage_id": 0}]}, 0) is None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (deploy("fast", connector={}), "unknown key 'connector'; did you mean connectors?"),
        (deploy("quick"), "'quick', which is not defined"),
        ({"stages": [{"stage_id": 0, "output_connector": {}}]}, "did you mean output_connectors?"),
        (deploy("a", connectors={"a": {"name": "RdmaConnector"}}), "known are SharedMemoryConnector"),
        (deploy("a", connectors={"a": {"name": "SharedMemoryConnector", "extras": {}}}), "did you mean extra?"),
        (
            deploy("a", connectors={"a": {"name": "SharedMemoryConnector", "extra": {"shm_treshold_bytes": 1}}}),
            "did you mean shm_threshold_bytes?",
        ),
        (deploy("a", connectors={"a": {"name": "ZeroMQConnector", "extra": {"connections": 0}}}), "extra.connections"),
        (
            deploy("a", connectors={"a": {"name": "MooncakeStoreConnector", "extra": {"master": "m"}}}),
            "metadata_server",
        ),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        stage_connectors(document, 0)
    assert reason in str(refused.value)


def test_flags_beat_the_file_and_the_file_beats_the_default(tmp_path: Path) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text(yaml.safe_dump(deploy("far")), encoding="utf-8")

    assert isinstance(connectors_of(StageConfig(), 0).planes[0], ShmConfig)
    assert connectors_of(StageConfig(deploy_config=str(path)), 0).planes == (
        ZeroMqConfig(bind="tcp://[::]:5", advertise_host="h", connections=3),
    )
    assert connectors_of(StageConfig(deploy_config=str(path), transport="shm"), 0).planes == (ShmConfig(),)


def test_a_file_that_names_no_address_takes_that_of_the_flags(tmp_path: Path) -> None:
    path = tmp_path / "deploy.yaml"
    planes = ({"name": "ZeroMQConnector"}, {"name": "MooncakeTransferEngineConnector", "extra": {"protocol": "tcp"}})
    for plane, placed in zip(
        planes,
        (
            ZeroMqConfig(bind="tcp://10.0.0.5:0", advertise_host="10.0.0.5"),
            MooncakeConfig(host="10.0.0.5", protocol="tcp"),
        ),
        strict=True,
    ):
        document = {"connectors": {"it": plane}, "stages": [{"stage_id": 0, "output_connectors": {"to_stage_1": "it"}}]}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        flags = StageConfig(deploy_config=str(path), kv_bind="tcp://10.0.0.5:0", kv_advertise_host="10.0.0.5")
        assert connectors_of(flags, 0).planes == (placed,)


@pytest.mark.parametrize("text", ["a: [", "- 1", ""])
def test_a_file_that_is_no_mapping_is_one_clear_message(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"deploy\.yaml"):
        connectors_of(StageConfig(deploy_config=str(path)), 0)
