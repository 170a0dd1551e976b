"""What runs on a node, and which flags contradict each other."""

import pytest

from bagel.errors import ConfigError
from services.launch.options import Placement
from services.launch.pipelines import BAGEL, BAGEL_SINGLE_STAGE, Pipeline
from services.launch.topology import host_of, topology_of, with_port


@pytest.mark.parametrize(
    ("placement", "pipeline", "says"),
    [
        (Placement(headless=True), BAGEL, "say with --stage-id which, 0 (thinker) and 1 (dit)"),
        (
            Placement(stage_id=1, headless=True),
            BAGEL,
            "give --master-address HOST, and --master-port unless it is 8092",
        ),
        (Placement(stage_id=1), BAGEL, "--stage-id 1 has no gateway by itself: add --headless"),
        (Placement(stage_id=2), BAGEL, "--stage-id 2: the pipeline bagel has 0 (thinker) and 1 (dit)"),
        (Placement(stage_id=1), BAGEL_SINGLE_STAGE, "bagel_single_stage has 0 (single)"),
        (Placement(bind="10.0.0.1"), BAGEL, "--bind is for stages of several nodes"),
        (Placement(advertise_address="a"), BAGEL, "--advertise-address is for stages of several nodes"),
        (Placement(join_token_file="a"), BAGEL, "--join-token-file is for stages of several nodes"),
        (Placement(stage_id=0, master_address="0.0.0.0"), BAGEL, "other nodes cannot dial it"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(placement: Placement, pipeline: Pipeline, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        topology_of(placement, pipeline)
    assert says in str(refused.value)


def test_the_first_stage_brings_gateway_and_registry() -> None:
    found = topology_of(Placement(stage_id=0), BAGEL)
    assert found.gateway
    assert found.registry == found.master == "127.0.0.1:8092"
    assert [stage.name for stage in found.stages] == ["thinker"]


def test_a_registry_on_every_address_is_dialled_by_the_advertised_one() -> None:
    placement = Placement(stage_id=0, master_address="::", advertise_address="fd00::2", master_port=5)
    found = topology_of(placement, BAGEL)
    assert (found.registry, found.master) == ("[::]:5", "[fd00::2]:5")


@pytest.mark.parametrize(
    ("address", "host", "whole"),
    [
        ("node", "node", "node:0"),
        ("node:5", "node", "node:5"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1:0"),
        ("::1", "::1", "[::1]:0"),
        ("[::1]", "::1", "[::1]:0"),
        ("[::1]:7", "::1", "[::1]:7"),
    ],
)
def test_addresses_may_leave_their_port_out(address: str, host: str, whole: str) -> None:
    assert (host_of(address), with_port(address)) == (host, whole)
