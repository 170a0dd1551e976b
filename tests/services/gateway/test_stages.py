"""Which stage a request goes to, what it waits for, and how addresses come and go."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import grpc
import pytest

from bagel.errors import ConfigError, NotReadyError, RequestError
from bagel.members import Kind, Member, MemberState
from bagel.rpc import SERVER_OPTIONS
from bagel.v1 import settings_pb2, thinker_pb2_grpc
from bagel.watching import Watched
from services.gateway.calls import Call
from services.gateway.config import GatewayConfig
from services.gateway.discovery import Discovery, check_addresses
from services.gateway.stage import Stage
from services.gateway.stages import ALONE_S, Stages
from tests.polling import until


class Thinker(thinker_pb2_grpc.ThinkerServicer):
    """Says that it is ready, and no more."""

    async def GetStatus(self, request: object, context: object) -> settings_pb2.StageStatus:
        return settings_pb2.StageStatus(state=settings_pb2.STAGE_STATE_READY)


@pytest.fixture
async def stages() -> AsyncIterator[Stages]:
    stages = Stages()
    yield stages
    await stages.close()


@pytest.fixture
async def thinker_port() -> AsyncIterator[int]:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    thinker_pb2_grpc.add_ThinkerServicer_to_server(Thinker(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(0)


def ready(stage: Stage, *, tasks: tuple[str, ...] = (), others: int = 0, model: str = "a") -> Stage:
    info = settings_pb2.ModelInfo(model_hash=model, tasks=tasks)
    stage.status = settings_pb2.StageStatus(state=settings_pb2.STAGE_STATE_READY, model=info)
    stage.model, stage.others = info, others
    return stage


def call(timeout_s: float = 30.0) -> Call:
    return Call("a", time.monotonic() + timeout_s)


async def test_the_least_loaded_is_taken_and_one_that_failed_only_when_there_is_no_other() -> None:
    one, two = (ready(Stage.at("thinker", f"127.0.0.1:{port}"), others=port) for port in (1, 2))
    stages = Stages(thinkers=[one, two])
    assert await stages.thinker("text2text", call()) is one
    assert await stages.thinker("text2text", call(), avoid=[one]) is two
    assert await stages.thinker("text2text", call(), avoid=[two, one]) is one
    two.status = None
    assert await stages.thinker("text2text", call(), avoid=[one]) is one


async def test_a_thinker_has_the_task_and_a_dit_the_thinkers_model() -> None:
    every, texts = ready(Stage.at("thinker", "127.0.0.1:1"), others=5), Stage.at("thinker", "127.0.0.1:2")
    ready(texts, tasks=("text2text", "img2text"), model="b")
    drawers = [ready(Stage.at("dit", f"127.0.0.1:{port}"), model=model) for port, model in ((3, "b"), (4, "a"))]
    stages = Stages(thinkers=[every, texts], dits=drawers)
    assert await stages.thinker("text2text", call()) is texts
    assert await stages.thinker("img2img", call()) is every
    assert await stages.dit(every, call()) is drawers[1]
    # Away for a moment, it has its task and its model still.
    every.status = None
    assert await stages.dit(every, call()) is drawers[1]
    with pytest.raises(NotReadyError):
        await stages.thinker("img2img", call(0.1))
    stages.thinkers.remove(every)
    with pytest.raises(RequestError, match="started without img2img; it has img2text, text2text"):
        await stages.thinker("img2img", call())


async def test_a_lone_stage_is_waited_for_briefly_and_one_never_seen_not_at_all() -> None:
    lost = ready(Stage.at("thinker", "127.0.0.1:1"))
    lost.status, lost.problem = None, "it died"
    began = time.monotonic()
    with pytest.raises(NotReadyError, match=r"no Thinker is ready \(127.0.0.1:1: it died\)"):
        await Stages(thinkers=[lost]).thinker("text2text", call())
    assert time.monotonic() - began >= ALONE_S
    began = time.monotonic()
    with pytest.raises(NotReadyError, match="not tried yet"):
        await Stages(thinkers=[Stage.at("thinker", "127.0.0.1:1")]).thinker("text2text", call())
    assert time.monotonic() - began < ALONE_S


async def test_one_that_comes_back_is_taken_at_once(stages: Stages, thinker_port: int) -> None:
    address = f"127.0.0.1:{thinker_port}"
    # Two are known, so one is worth waiting for.
    for port in (1, 2):
        lost = ready(Stage.at("thinker", f"127.0.0.1:{port}"))
        lost.status = None
        stages.thinkers.append(lost)
    waiting = asyncio.create_task(stages.thinker("text2text", call()))
    await asyncio.sleep(0)
    stages.add("thinker", address)
    assert (await waiting).address == address


async def test_what_nobody_names_is_kept_as_long_as_it_answers(stages: Stages) -> None:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    thinker_pb2_grpc.add_ThinkerServicer_to_server(Thinker(), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    stages.add("thinker", address)
    await until(lambda: stages.thinkers[0].ready)
    stages.unlist("thinker", address)
    assert (await stages.thinker("text2text", call())).address == address
    await server.stop(0)
    await until(lambda: not stages.thinkers)


async def test_a_snapshot_and_its_changes_are_followed(stages: Stages) -> None:
    discovery = Discovery(stages, GatewayConfig(), None)
    known: dict[str, Member] = {}

    def member(worker_id: str, port: int) -> Member:
        return Member(
            worker_id=worker_id, kind=Kind.DIT, address=f"127.0.0.1:{port}", model_name="toy", model_hash="a",
            boot_epoch=1,
        )  # fmt: skip

    def listed() -> list[str]:
        return sorted(stage.address for stage in stages.dits if stage.listed)

    discovery.apply(Watched(True, (member("one", 1), member("two", 2))), known)
    assert listed() == ["127.0.0.1:1", "127.0.0.1:2"]
    discovery.apply(Watched(False, (member("two", 3),), ("one",)), known)
    assert listed() == ["127.0.0.1:3"]
    # A worker started again under another name, at the address of one that is then said to have left.
    discovery.apply(Watched(False, (member("three", 3),)), known)
    discovery.apply(Watched(False, (), ("two",)), known)
    assert listed() == ["127.0.0.1:3"]
    discovery.apply(Watched(True, ()), known)
    assert listed() == []


async def test_one_that_the_registry_says_is_draining_gets_nothing_new(stages: Stages) -> None:
    member = Member(
        worker_id="one", kind=Kind.DIT, address="127.0.0.1:1", model_name="toy", model_hash="a", boot_epoch=7,
        state=MemberState.DRAINING,
    )  # fmt: skip
    Discovery(stages, GatewayConfig(), None).apply(Watched(True, (member,)), {})
    stage = ready(stages.dits[0])
    assert stage.status is not None
    stage.status.epoch = 7
    Discovery(stages, GatewayConfig(), None).apply(Watched(False, (member,)), {})
    assert not stage.ready
    # Another life at the same address is another matter.
    stage.status.epoch = 8
    assert stage.ready


@pytest.mark.parametrize("name", ["dns:host", "dns:host:99999", "dns:host:x"])
def test_a_name_without_a_port_is_a_mistake(name: str) -> None:
    with pytest.raises(ConfigError):
        check_addresses([name])


async def test_a_name_in_dns_stands_for_all_its_addresses(stages: Stages, thinker_port: int) -> None:
    addresses = {entry[4][0] for entry in socket.getaddrinfo("localhost", thinker_port, type=socket.SOCK_STREAM)}
    discovery = Discovery(stages, GatewayConfig(thinkers=(f"dns:localhost:{thinker_port}",)), None)
    discovery.open()
    await until(lambda: any(stage.ready for stage in stages.thinkers))
    await discovery.close()
    hosts = {f"[{host}]" if ":" in str(host) else str(host) for host in addresses}
    assert {stage.address for stage in stages.thinkers} == {f"{host}:{thinker_port}" for host in hosts}


async def test_a_name_that_dns_does_not_know_is_told(stages: Stages) -> None:
    discovery = Discovery(stages, GatewayConfig(dits=("dns:nowhere.invalid:1",)), None)
    discovery.open()
    await until(lambda: stages.notes, timeout_s=60)  # a name server may be slow to say so
    await discovery.close()
    assert any("dns:nowhere.invalid:1 has no address in DNS" in reason for reason in stages.missing())
