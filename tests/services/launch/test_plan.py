"""Which processes `bagel serve` starts, with which arguments."""

import os
from pathlib import Path

import pytest

from bagel.errors import ConfigError
from services.launch.deploy.load import DeploySources, StageFlags
from services.launch.options import Placement, ServeOptions
from services.launch.plan import Role
from tests.services.launch.plans import children_of, deployed, flag, flags

METRICS = "--metrics-bind"
TWO_OF_EACH = {"stages": [{"stage_id": 0, "num_replicas": 2}, {"stage_id": 1, "num_replicas": 2}]}


def test_stages_serve_no_figures_unless_asked_to() -> None:
    assert [flag(child, METRICS) for child in children_of().values()] == [None, None, None]


@pytest.mark.parametrize(
    ("host", "port", "thinker", "dit"),
    [
        ("127.0.0.1", 9464, "127.0.0.1:9464", "127.0.0.1:9465"),
        ("::1", 9464, "[::1]:9464", "[::1]:9465"),
        ("0.0.0.0", 0, "0.0.0.0:0", "0.0.0.0:0"),
    ],
)
def test_stages_serve_their_figures_on_neighbouring_ports(host: str, port: int, thinker: str, dit: str) -> None:
    children = children_of(options=ServeOptions(host=host, metrics_port=port))
    assert {name: flag(child, METRICS) for name, child in children.items()} == {
        "thinker": thinker, "dit": dit, "gateway": None,
    }  # fmt: skip


def test_one_node_talks_over_unix_sockets_and_needs_no_registry() -> None:
    children = children_of()
    assert list(children) == ["thinker", "dit", "gateway"]
    for name in ("thinker", "dit"):
        assert (
            flag(children[name], "--bind") == flag(children["gateway"], f"--{name}") == f"unix:/run/bagel/{name}.sock"
        )
        assert flag(children[name], "--master") is None


def test_replicas_are_processes_that_the_gateway_knows(tmp_path: Path) -> None:
    children = children_of(deployed(tmp_path, TWO_OF_EACH))
    assert list(children) == ["thinker", "thinker-1", "dit", "dit-1", "gateway"]
    sockets = {name: f"unix:/run/bagel/{name}.sock" for name in children}
    assert flags(children["gateway"], "--thinker") == [sockets["thinker"], sockets["thinker-1"]]
    assert flags(children["gateway"], "--dit") == [sockets["dit"], sockets["dit-1"]]
    assert len({flag(child, "--kv-bind") for name, child in children.items() if "thinker" in name}) == 2


def test_a_single_stage_is_one_process_for_both_kinds() -> None:
    children = children_of(options=ServeOptions(deploy=DeploySources(deploy_config="bagel_single_stage.yaml")))
    assert list(children) == ["single", "gateway"]
    assert "services.launch.single" in children["single"].command
    address = flag(children["single"], "--bind")
    assert flag(children["gateway"], "--thinker") == flag(children["gateway"], "--dit") == address


@pytest.mark.parametrize(
    ("placement", "names"),
    [
        (Placement(stage_id=0, master_address="10.0.0.1"), ["thinker", "registry", "gateway"]),
        (Placement(stage_id=1, headless=True, master_address="10.0.0.1"), ["dit"]),
        (Placement(stage_id=0, headless=True, master_address="10.0.0.1"), ["thinker"]),
        (Placement(master_port=8092), ["thinker", "dit", "registry", "gateway"]),
    ],
)
def test_a_node_starts_what_it_is_for(placement: Placement, names: list[str]) -> None:
    assert list(children_of(options=ServeOptions(placement=placement))) == names


def test_all_of_several_nodes_go_to_the_master() -> None:
    placement = Placement(
        stage_id=0, master_address="fd00::1", master_port=9000, join_token_file="/t", bind="fd00::1",
        advertise_address="node-1",
    )  # fmt: skip
    children = children_of(options=ServeOptions(placement=placement))
    assert flag(children["registry"], "--bind") == "[fd00::1]:9000"
    assert {flag(children[name], "--master") for name in ("thinker", "gateway")} == {"[fd00::1]:9000"}
    assert {flag(child, "--join-token-file") for child in children.values()} == {"/t"}
    assert flag(children["gateway"], "--thinker") is None
    assert flag(children["thinker"], "--bind") == "[fd00::1]:0"
    assert flag(children["thinker"], "--advertise-address") == "node-1:0"
    assert children["registry"].role is Role.REGISTRY


def test_workers_are_told_apart_where_host_names_and_process_ids_are_the_same() -> None:
    worker = flag(children_of(options=ServeOptions(placement=Placement(master_port=8092)))["dit"], "--worker-id")
    assert worker == f"{os.uname().nodename}-4e1f-dit"


def test_a_gateway_overlaps_with_its_successor_unless_a_port_cannot_be_shared() -> None:
    assert children_of()["gateway"].overlaps
    assert not children_of(options=ServeOptions(grpc_port=5000))["gateway"].overlaps
    with_socket = children_of(http_fd=7)["gateway"]
    assert (flag(with_socket, "--fd"), with_socket.fds) == ("7", (7,))


def test_flags_beat_the_file(tmp_path: Path) -> None:
    document = {"stages": [{"stage_id": 0, "max_num_seqs": 3}, {"stage_id": 1, "max_num_seqs": 4}]}
    overrides = '{"1": {"max_num_seqs": 5, "max_model_len": 64}}'
    found = children_of(deployed(tmp_path, document, overrides=overrides))
    assert [flag(found[name], "--max-num-seqs") for name in ("thinker", "dit")] == ["3", "5"]
    assert flag(found["dit"], "--max-model-len") == "64"
    found = children_of(deployed(tmp_path, document, overrides=overrides, flags=StageFlags(max_num_seqs=6)))
    assert [flag(found[name], "--max-num-seqs") for name in ("thinker", "dit")] == ["6", "6"]
    found = children_of(deployed(tmp_path, document, flags=StageFlags(max_num_seqs=6), stage_id=1))
    assert [flag(found[name], "--max-num-seqs") for name in ("thinker", "dit")] == ["3", "6"]
    options = ServeOptions(max_running=2)
    found = children_of(deployed(tmp_path, {"max_inflight": 5}), options)
    assert flag(found["gateway"], "--max-running") == "2"


def test_devices_that_cannot_be_shared_out_are_refused(tmp_path: Path) -> None:
    stages = {"stages": [{"stage_id": 1, "devices": "0,1", "num_replicas": 3}]}
    with pytest.raises(ConfigError, match="2 devices cannot be shared out evenly among 3 replicas"):
        children_of(deployed(tmp_path, stages, "cuda"), platform="cuda")
