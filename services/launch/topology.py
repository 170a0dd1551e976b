"""What runs on this node, and who dials whom. Pure.

One node talks over unix sockets. As soon as other nodes may join there is a registry, and every stage and the gateway
use it, those beside it too: one way for all.
"""

from dataclasses import dataclass

from bagel import defaults
from bagel.addresses import is_wildcard, join_address
from bagel.errors import ConfigError
from services.launch.options import Placement
from services.launch.pipelines import Pipeline, PipelineStage


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The processes of this node. `registry` is where it listens, `master` where others dial it."""

    stages: tuple[PipelineStage, ...]
    gateway: bool
    registry: str | None = None
    master: str | None = None


def topology_of(placement: Placement, pipeline: Pipeline) -> Topology:
    """Raises ConfigError for flags that contradict each other."""
    stages = _stages(placement, pipeline)
    several = placement.stage_id is not None or placement.headless or _names_master(placement)
    if not several:
        for flag, value in (
            ("--bind", placement.bind), ("--advertise-address", placement.advertise_address),
            ("--join-token-file", placement.join_token_file), ("--master-wait-s", placement.master_wait_s),
        ):  # fmt: skip
            if value is not None:
                raise ConfigError(f"{flag} is for stages of several nodes: give --master-address too")
        return Topology(stages=stages, gateway=True)
    host = (placement.master_address or defaults.MASTER_HOST).removeprefix("[").removesuffix("]")
    port = placement.master_port or defaults.MASTER_PORT
    own, dialled = join_address(host, port), join_address(host, port)
    if is_wildcard(host):
        if placement.advertise_address is None:
            raise ConfigError(
                f"--master-address {host}: other nodes cannot dial it; name an address of this node, or give it as"
                " --advertise-address as well"
            )
        dialled = join_address(host_of(placement.advertise_address), port)
    if placement.headless:
        return Topology(stages=stages, gateway=False, master=dialled)
    return Topology(stages=stages, gateway=True, registry=own, master=dialled)


def host_of(address: str) -> str:
    """Of `host`, `host:port`, `[v6]:port` or a bare IPv6 address."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdecimal() and ":" not in host else address


def with_port(address: str) -> str:
    """An address with a port; any where it names none."""
    host = host_of(address)
    _, colon, port = address.removeprefix(f"[{host}]").rpartition(":")
    named = colon and port.isdecimal() and (address.startswith("[") or address.count(":") == 1)
    return join_address(host, int(port) if named else 0)


def _names_master(placement: Placement) -> bool:
    return placement.master_address is not None or placement.master_port is not None


def _stages(placement: Placement, pipeline: Pipeline) -> tuple[PipelineStage, ...]:
    if placement.stage_id is None:
        if placement.headless:
            raise ConfigError(f"--headless starts a stage alone: say with --stage-id which, {pipeline.shown_stages()}")
        return pipeline.stages
    stage = pipeline.stage(placement.stage_id)
    if stage is None:
        known = pipeline.shown_stages()
        raise ConfigError(f"--stage-id {placement.stage_id}: the pipeline {pipeline.name} has {known}")
    if placement.headless:
        if placement.master_address is None:
            raise ConfigError(
                "--headless joins the master on another node: give --master-address HOST, and --master-port unless it"
                f" is {defaults.MASTER_PORT}"
            )
        return (stage,)
    if stage is not pipeline.stages[0]:
        raise ConfigError(
            f"--stage-id {stage.stage_id} has no gateway by itself: add --headless and --master-address HOST, or leave"
            " --stage-id out to run everything here"
        )
    return (stage,)
