"""Every overlay renders to objects that Kubernetes takes, that fit each other, and whose flags our services take."""

import argparse
import shutil
from pathlib import Path

import kubernetes_validate
import pytest

from bagel import __version__
from bagel.stage import STOP_GRACE_S
from bagel.stage_flags import StageConfig, add_stage_flags, parse_stage_config
from services.dit.assembly import SERVICES as DIT_SERVICES
from services.gateway.__main__ import read_flags
from services.gateway.app import make_app
from services.gateway.config import GatewayConfig
from services.thinker.assembly import SERVICES as THINKER_SERVICES
from tests.deploying.rendering import (
    KUSTOMIZE,
    OVERLAYS,
    Rendered,
    container_of,
    image_says,
    ports_of,
    render,
    rendered,
)
from tests.processes import ROOT

UPLOAD = "model-upload"
EVERY = (*(f"overlays/{name}" for name in OVERLAYS), UPLOAD)
# The oldest that has gRPC probes for everybody, and the newest that is known here.
VERSIONS = ("1.27.0", kubernetes_validate.latest_version())
SERVICES = {"bagel-thinker": THINKER_SERVICES, "bagel-dit": DIT_SERVICES}
POD_IP = "10.20.30.40"
# Who dials whom, at which ports.
DIALS = {("bagel-gateway", "bagel-thinker", "grpc"), ("bagel-gateway", "bagel-dit", "grpc"),
         ("bagel-dit", "bagel-thinker", "grpc"), ("bagel-dit", "bagel-thinker", "kv")}  # fmt: skip


@pytest.fixture(params=[f"overlays/{name}" for name in OVERLAYS])
def overlay(request: pytest.FixtureRequest) -> Rendered:
    return rendered(request.param)


def flags(overlay: Rendered, name: str) -> list[str]:
    """What a pod's service is started with, without `python -m MODULE`."""
    command = overlay.command(container_of(overlay.pods()[name]), POD_IP)
    assert command[:3] == ["python", "-m", f"services.{name.removeprefix('bagel-')}"]
    return command[3:]


def stage_config(overlay: Rendered, name: str) -> StageConfig:
    parser = argparse.ArgumentParser()
    add_stage_flags(parser)
    return parse_stage_config(parser, flags(overlay, name))


def gateway_config(overlay: Rendered) -> GatewayConfig:
    return read_flags(flags(overlay, "bagel-gateway"))


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def drain_s(overlay: Rendered, name: str) -> float:
    return gateway_config(overlay).drain_s if name == "bagel-gateway" else stage_config(overlay, name).drain_s


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", EVERY)
def test_kubernetes_takes_every_object(name: str, version: str) -> None:
    for each in rendered(name).objects:
        kubernetes_validate.validate(each, version, strict=True)


def test_stages_listen_at_the_ports_of_their_pods_and_advertise_their_addresses(overlay: Rendered) -> None:
    for name in ("bagel-thinker", "bagel-dit"):
        pod, config = overlay.pods()[name], stage_config(overlay, name)
        ports = ports_of(container_of(pod))
        assert (config.bind, config.advertise_address) == (f"0.0.0.0:{ports['grpc']}", POD_IP)
        assert config.metrics_bind == f"0.0.0.0:{ports['metrics']}"
        assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
        assert config.threads == int(container_of(pod)["resources"]["limits"]["cpu"])
    thinker = container_of(overlay.pods()["bagel-thinker"])
    config = stage_config(overlay, "bagel-thinker")
    assert (config.kv_bind, config.kv_advertise_host) == (f"tcp://0.0.0.0:{ports_of(thinker)['kv']}", POD_IP)


def test_gateways_look_stages_up_by_headless_services(overlay: Rendered) -> None:
    config = gateway_config(overlay)
    ports = ports_of(container_of(overlay.pods()["bagel-gateway"]))
    assert (config.host, config.port, config.grpc_bind) == ("0.0.0.0", ports["http"], f"0.0.0.0:{ports['grpc']}")
    for kind, (address,) in (("thinker", config.thinkers), ("dit", config.dits)):
        service = overlay.of("Service")[address.removeprefix("dns:").rpartition(":")[0]]["spec"]
        assert service["clusterIP"] == "None"
        (pod,) = overlay.selected(service["selector"])
        assert pod == f"bagel-{kind}"
        assert port_of(address) == port_of(stage_config(overlay, pod).bind)


def test_both_stages_take_the_same_model_and_the_same_way_for_pages(overlay: Rendered) -> None:
    thinker, dit = (stage_config(overlay, name) for name in SERVICES)
    shared = ("model", "transport", "mooncake_protocol", "device", "dtype", "kv_page_tokens")
    assert all(getattr(thinker, field) == getattr(dit, field) for field in shared)
    assert "shm" not in thinker.transport  # pods share no memory


def test_probes_ask_for_what_the_services_answer(overlay: Rendered) -> None:
    routes = {route.path for route in make_app(GatewayConfig()).routes if hasattr(route, "path")}
    for name in ("bagel-gateway", *SERVICES):
        container = container_of(overlay.pods()[name])
        ports = ports_of(container)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container[probe]
            if name == "bagel-gateway":
                assert asked["httpGet"]["path"] in routes
                assert asked["httpGet"]["port"] in ports
                continue
            assert asked["grpc"]["port"] == ports["grpc"]
            # Alive is a process that answers; ready and started, one whose stage serves.
            wanted = None if probe == "livenessProbe" else SERVICES[name][0]
            assert asked["grpc"].get("service") == wanted
        slowest_load_s = container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"]
        assert slowest_load_s >= 1800


def test_every_selector_means_the_pods_of_its_name(overlay: Rendered) -> None:
    selectors = {
        "Deployment": lambda spec: spec["selector"]["matchLabels"],
        "Service": lambda spec: spec["selector"],
        "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
        "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
    }
    for kind, labels in selectors.items():
        for name, each in overlay.of(kind).items():
            assert overlay.selected(labels(each["spec"])) == [name], (kind, name)
    for name, each in overlay.of("Service").items():
        ports = ports_of(container_of(overlay.pods()[name]))
        for port in each["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"], (name, port)


def test_policies_let_in_who_dials_and_nobody_else(overlay: Rendered) -> None:
    if overlay.name == "overlays/rdma":
        assert list(overlay.of("NetworkPolicy")) == ["bagel-gateway"]  # others would be without effect
        return
    let_in = set()
    for name, each in overlay.of("NetworkPolicy").items():
        assert each["spec"]["policyTypes"] == ["Ingress"]
        ports = ports_of(container_of(overlay.pods()[name]))
        for rule in each["spec"]["ingress"]:
            named = [port["port"] for port in rule["ports"]]
            assert set(named) <= set(ports)
            if "from" not in rule:
                assert (name, named) == ("bagel-gateway", ["http", "grpc"])
                continue
            for peer in rule["from"]:
                if "namespaceSelector" in peer:
                    assert named == ["metrics"]
                    continue
                (caller,) = overlay.selected(peer["podSelector"]["matchLabels"])
                let_in |= {(caller, name, port) for port in named}
    assert let_in == DIALS


def test_pods_get_longer_to_end_than_their_requests(overlay: Rendered) -> None:
    for name in ("bagel-gateway", *SERVICES):
        spec = overlay.pods()[name]["spec"]
        pause_s = 0.0
        if "lifecycle" in (container := container_of(overlay.pods()[name])):
            _, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
            pause_s = float(seconds)
        assert spec["terminationGracePeriodSeconds"] >= pause_s + drain_s(overlay, name) + 2 * STOP_GRACE_S + 5, name


def test_one_pod_of_each_kind_may_be_taken_away_and_no_more(overlay: Rendered) -> None:
    assert set(overlay.of("PodDisruptionBudget")) == set(overlay.of("Deployment"))
    for each in overlay.of("PodDisruptionBudget").values():
        assert each["spec"]["maxUnavailable"] == 1
    for name, each in overlay.of("Deployment").items():
        rolling = each["spec"]["strategy"]["rollingUpdate"]
        needs_gpu = "nvidia.com/gpu" in container_of(overlay.pods()[name])["resources"]["limits"]
        assert rolling == ({"maxSurge": 0, "maxUnavailable": 1} if needs_gpu else {"maxSurge": 1, "maxUnavailable": 0})


@pytest.mark.parametrize("name", EVERY)
def test_no_pod_may_more_than_it_needs(name: str) -> None:
    for pod_name, pod in rendered(name).pods().items():
        spec, container = pod["spec"], container_of(pod)
        own = container["securityContext"]
        rdma = name == "overlays/rdma" and pod_name in SERVICES
        assert spec["securityContext"]["runAsNonRoot"]
        user, group = (spec["securityContext"][key] for key in ("runAsUser", "runAsGroup"))
        assert user > 0
        assert image_says(container, "USER") == f"{user}:{group}"
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert own["readOnlyRootFilesystem"]
        assert own["allowPrivilegeEscalation"] is False
        assert "privileged" not in own
        assert own["capabilities"] == {"drop": ["ALL"], **({"add": ["IPC_LOCK"]} if rdma else {})}
        assert spec.get("hostNetwork", False) is rdma
        assert not {"hostPID", "hostIPC", "initContainers"} & set(spec)
        assert all("hostPath" not in volume for volume in spec["volumes"])
        assert all("sizeLimit" in volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume)
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])


def test_the_namespace_refuses_what_the_pods_do_not_ask_for(overlay: Rendered) -> None:
    (namespace,) = overlay.of("Namespace").values()
    level = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert level == ("privileged" if overlay.name == "overlays/rdma" else "restricted")
    inside = [each for each in overlay.objects if each["kind"] != "Namespace"]
    assert {each["metadata"]["namespace"] for each in inside} == {namespace["metadata"]["name"]}


def test_what_a_pod_mounts_is_there(overlay: Rendered) -> None:
    for name, pod in overlay.pods().items():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounted = {mount["name"]: mount for mount in container_of(pod)["volumeMounts"]}
        assert set(volumes) == set(mounted), name
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in overlay.of("PersistentVolumeClaim")
                assert stage_config(overlay, name).model.startswith(mounted[volume["name"]]["mountPath"] + "/")
            elif "secret" in volume:
                # Made by hand, as the docs say.
                made = f"create secret generic {volume['secret']['secretName']} "
                assert made in (ROOT / "docs" / "kubernetes.md").read_text()
                assert gateway_config(overlay).api_keys == f"{mounted[volume['name']]['mountPath']}/api-keys.jsonl"


@pytest.mark.parametrize("name", EVERY)
def test_images_are_of_this_version(name: str) -> None:
    for pod in rendered(name).pods().values():
        image, tag = container_of(pod)["image"].split(":")
        suffix = "" if image == "bagel-serve-gateway" else "-cpu" if name == "overlays/cpu" else "-cuda"
        assert tag == f"{__version__}{suffix}"


def test_the_overlay_that_the_docs_show_works(tmp_path: Path) -> None:
    shutil.copytree(KUSTOMIZE, tmp_path / "kustomize")
    folder = tmp_path / "kustomize" / "overlays" / "mine"
    folder.mkdir()
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    (folder / "kustomization.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    own, given = render(folder, "mine"), rendered("overlays/gpu")
    assert own.of("Deployment")["bagel-dit"]["spec"]["replicas"] == 4
    assert stage_config(own, "bagel-dit").drain_s != stage_config(given, "bagel-dit").drain_s
    for pod in own.pods().values():
        assert container_of(pod)["image"].startswith("registry.example/bagel-serve-")
