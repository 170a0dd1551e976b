"""Every compose file: what each service may do, whether it takes its command, and who reaches it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli.checks.deploy import check_deploy
from services.cli.checks.findings import Level
from tests.images.commands import accept
from tests.images.composing import FILES, NAMED, ONE_NODE, STAGES, compose, flag, rendered, seconds, service_of
from tests.images.dockerfiles import argument_defaults, stages_of
from tests.processes import ROOT

OURS = "bagel-serve-"
# Nothing of these gives a service more than it has.
HOST_DOORS = ("privileged", "pid", "ipc", "userns_mode", "cgroup", "volumes_from", "cap_add", "devices")

each_file = pytest.mark.parametrize("file", FILES)


def ours(file: str, **environment: str) -> dict[str, dict[str, Any]]:
    services = rendered(file, **environment)["services"]
    return {name: spec for name, spec in services.items() if spec["image"].startswith(OURS)}


def command(spec: dict[str, Any]) -> list[str]:
    """The words of the process that a container would start."""
    image = stages_of(service_of(spec))[-1]
    return [*(spec["entrypoint"] or image.only("ENTRYPOINT").words), *spec["command"]]


@each_file
def test_every_service_is_confined(file: str) -> None:
    for name, spec in rendered(file)["services"].items():
        assert spec["cap_drop"] == ["ALL"], name
        assert spec["security_opt"] == ["no-new-privileges:true"], name
        assert spec["read_only"] is True, name
        rdma = spec.get("profiles") == ["rdma"]
        allowed = {"cap_add", "devices"} if rdma else set()
        assert set(HOST_DOORS) & set(spec) == allowed, name
        assert not rdma or (spec["cap_add"], spec["devices"][0]["source"]) == (["IPC_LOCK"], "/dev/infiniband")
        assert "docker.sock" not in json.dumps(spec), name


@each_file
def test_every_command_and_check_is_one_that_its_service_takes(file: str) -> None:
    keys = {"API_KEYS_FILE": "./keys", "JOIN_TOKEN_FILE": "./token", "GRPC_PORT": "8090", "METRICS_PORT": "0"}
    for environment in ({}, keys):
        for name, spec in ours(file, **environment).items():
            accept(command(spec))
            if check := spec.get("healthcheck", {}).get("test"):
                assert check[0] == "CMD", name
                accept(check[1:])


@pytest.mark.parametrize("file", STAGES)
def test_an_address_that_only_a_person_knows_is_asked_for(file: str) -> None:
    for name in NAMED:
        told = {key: value for key, value in NAMED.items() if key != name}
        done = compose(file, "config", "-q", environment={"COMPOSE_PROFILES": "cpu", **told})
        if name == "ADVERTISE_ADDRESS" and "head" in file:
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode != 0
            assert f"required variable {name} is missing" in done.stderr


@each_file
def test_every_service_is_built_from_what_is_there(file: str) -> None:
    for name, spec in ours(file).items():
        folder = Path(spec["build"]["context"])
        assert folder == ROOT
        assert (folder / spec["build"]["dockerfile"]).is_file()
        known = argument_defaults(stages_of(service_of(spec))[0])
        given = spec["build"].get("args", {})
        assert set(given) <= set(known), name
        assert spec["image"].startswith(OURS + service_of(spec) + ":")
        graphics = spec.get("profiles") in (["gpu"], ["rdma"])
        assert ("deploy" in spec, spec["image"].endswith("-cuda")) == (graphics, graphics), name
        assert given == ({"TORCH": "cu130", "MOONCAKE": "mooncake-cuda13"} if graphics else {})


@each_file
def test_what_is_mounted_from_the_tree_is_there(file: str) -> None:
    for name, spec in rendered(file)["services"].items():
        for mount in spec.get("volumes", ()):
            if mount["type"] == "bind":
                assert Path(mount["source"]).exists(), f"{name}: {mount['source']}"
                assert mount["read_only"], f"{name}: {mount['source']}"


@each_file
def test_a_container_is_given_more_time_than_its_requests(file: str) -> None:
    for name, spec in ours(file).items():
        drain = flag(spec["command"], "--drain-s")
        if drain is not None:
            assert seconds(spec["stop_grace_period"]) >= float(drain) + 10, name


def test_the_cpu_is_the_default_and_profiles_choose_the_stages() -> None:
    common = {"fetch", "gateway", "registry"}
    done = compose(ONE_NODE, "config", "--services")
    assert set(done.stdout.split()) == common | {"thinker", "dit"}
    for profile in ("gpu", "rdma"):
        done = compose(ONE_NODE, "--profile", profile, "config", "--services")
        assert set(done.stdout.split()) == common | {f"thinker-{profile}", f"dit-{profile}"}
    for file in STAGES:
        done = compose(file, "config", "--services", environment=NAMED)
        assert done.stdout.split() == [Path(file).stem]


def test_ports_are_open_on_the_loopback_alone_and_can_be_chosen() -> None:
    variables = {"PORT": "8091", "GRPC_PORT": "8090", "PROMETHEUS_PORT": "9090", "GRAFANA_PORT": "3000"}
    assert published(ONE_NODE) == {("127.0.0.1", port) for port in variables.values()}
    other = {name: str(18_000 + index) for index, name in enumerate(variables)}
    assert published(ONE_NODE, **other, BIND_ADDRESS="10.0.0.1") == {("10.0.0.1", port) for port in other.values()}
    assert ("127.0.0.1", "0") in published(ONE_NODE, PORT="0")


def published(file: str, **environment: str) -> set[tuple[str, str]]:
    services = rendered(file, **environment)["services"].values()
    return {(port["host_ip"], port["published"]) for spec in services for port in spec.get("ports", ())}


@each_file
def test_the_check_follows_the_ports(file: str) -> None:
    chosen = {"MASTER_PORT": "7001", "THINKER_PORT": "7002", "DIT_PORT": "7003", "STAGE_PORT": "7004", "PORT": "7005"}
    for name, spec in ours(file, **chosen).items():
        check = spec.get("healthcheck", {}).get("test")
        if check is None:  # the image's own, for a port that is not chosen
            assert name in ("gateway", "fetch")
            continue
        port = check[-1].rpartition(":")[2].partition("/")[0]
        words = spec["command"]
        bound = flag(words, "--port") or str(flag(words, "--bind")).rpartition(":")[2]
        assert port == bound, name
        assert port.startswith("700"), name


def test_stages_have_no_way_out_and_the_gateway_is_the_way_in() -> None:
    project = rendered(ONE_NODE)
    assert project["networks"]["inside"]["internal"] is True
    for name, spec in ours(ONE_NODE).items():
        networks = set(spec["networks"])
        assert networks == {"fetch": {"edge"}, "gateway": {"inside", "edge"}}.get(name, {"inside"}), name


def test_a_thinkers_socket_lies_where_its_dit_looks_and_only_the_group_gets_there() -> None:
    project = rendered(ONE_NODE)
    thinker, dit = (project["services"][name] for name in ("thinker", "dit"))
    folder = str(Path(str(flag(thinker["command"], "--kv-socket"))).parent)
    mounts = [{mount["target"]: mount for mount in spec["volumes"]}[folder] for spec in (thinker, dit)]
    assert [mount["source"] for mount in mounts] == ["sockets", "sockets"]
    assert mounts[1]["read_only"] is True
    options = dict(part.split("=") for part in project["volumes"]["sockets"]["driver_opts"]["o"].split(","))
    uid, _, gid = stages_of("thinker")[-1].only("USER").value.partition(":")
    assert (options["uid"], options["gid"], options["mode"]) == (uid, gid, "2770")
    assert stages_of("dit")[-1].only("USER").value.partition(":")[2] == gid


@each_file
def test_secrets_are_files_that_only_the_services_that_need_them_see(file: str) -> None:
    services = ours(file, JOIN_TOKEN_FILE="./token", API_KEYS_FILE="./keys")
    for name, spec in services.items():
        words = spec["command"]
        given = {secret["source"] for secret in spec.get("secrets", ())}
        named = {flag_ for flag_ in ("--join-token-file", "--api-keys") if flag_ in words}
        assert named == {{"join-token": "--join-token-file", "api-keys": "--api-keys"}[each] for each in given}, name
        assert all(flag(words, each) == f"/run/secrets/{_secret(each)}" for each in named), name
    assert any("--api-keys" in spec["command"] for spec in services.values()) == (file not in STAGES[1:])


def _secret(flag_: str) -> str:
    return {"--join-token-file": "join-token", "--api-keys": "api-keys"}[flag_]


def test_the_file_for_rdma_is_one_that_a_node_starts_with() -> None:
    found = list(check_deploy(ROOT / "deploy/compose/rdma.yaml"))
    # Whether this machine has a device is not the file's mistake.
    assert not [each for each in found if each.level is Level.FAIL and each.what != "mooncake"], found
    assert any("shm, then mooncake (rdma), then zeromq" in each.found for each in found)


def test_prometheus_looks_where_the_figures_are() -> None:
    config = yaml.safe_load((ROOT / "deploy/observability/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    services = rendered(ONE_NODE)["services"]
    assert job["static_configs"] == [{"targets": [f"gateway:{flag(services['gateway']['command'], '--port')}"]}]
    found = {(name, entry["port"]) for entry in job["dns_sd_configs"] for name in entry["names"]}
    for stage in ("thinker", "dit"):
        for variant in (stage, f"{stage}-gpu", f"{stage}-rdma"):
            spec = services[variant]
            assert spec["networks"]["inside"]["aliases"] == [stage]
            assert (stage, int(str(flag(spec["command"], "--metrics-bind")).rpartition(":")[2])) in found


def test_the_collector_takes_what_the_services_send() -> None:
    config = yaml.safe_load((ROOT / "deploy/observability/collector.yml").read_text())
    pipeline = config["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(config[kind])
    assert config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")


def test_the_page_lists_every_variable_with_its_defaults_and_no_other() -> None:
    page = (ROOT / "docs/containers.md").read_text().split("## Variables")[1].split("\n## ")[0]
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    used = {"COMPOSE_PROFILES": set(re.findall(r"^COMPOSE_PROFILES=(\w+)", (ROOT / ".env").read_text(), re.MULTILINE))}
    for file in FILES:
        for name, default in re.findall(r"\$\{(\w+)(?::-([\w.-]+)\})?", (ROOT / file).read_text()):
            used.setdefault(name, set()).update({default} - {""})
    assert set(rows) == set(used)
    for name, defaults in used.items():
        for default in defaults:
            assert re.search(rf"(?<![\w.]){re.escape(default)}(?![\w.])", rows[name]), f"{name}: {default}"
