"""`bagel doctor`, `bagel config check` and what every command costs before it begins."""

import hashlib
import json
import select
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bagel import __version__
from tests.e2e.command import bagel
from tests.e2e.server import Server
from tests.e2e.test_cli_pictures import QUICK, url_of
from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import ROOT, running

OWN_NETWORK = ("unshare", "--net")
GOLDEN = ROOT / "tests" / "golden" / "checkpoint"
WAYS = "connectors: {near: {name: SharedMemoryConnector}, far: {name: ZeroMQConnector}}\n"


def findings(*arguments: str, url: str | None = None, **more: Any) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit status, and findings by name; the first of each."""
    done = bagel(*arguments, "--json", url=url, **more)
    told = json.loads(done.stdout)
    found: dict[str, dict[str, str]] = {}
    for finding in told["findings"]:
        found.setdefault(finding["name"], finding)
        assert (finding["level"] == "ok") == (not finding["cure"]), finding
    assert told["ok"] == (done.returncode == 0), done.stderr
    return done.returncode, found


def levels(found: dict[str, dict[str, str]], *names: str) -> list[str]:
    return [found[name]["level"] for name in names]


def told_of(server: Server) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = server.http.get("/readyz").raise_for_status().json()["stages"]
    return stages


def other_end(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_a_whole_installation_with_a_running_server_is_well(server: Server) -> None:
    # The gateway tells what it saw when it last looked, which may be of the test before.
    wait_until(lambda: all(s["free_pages"] == s["total_pages"] and not s["running"] for s in told_of(server)))
    status, found = findings("doctor", url=url_of(server))
    assert status == 0
    here = ("python", "shared memory", "packages", "stage packages", "torch", "weights", "zeromq", "server", "thinker")
    assert levels(found, *here) == ["ok"] * len(here)
    assert found["server"]["found"] == f"{url_of(server)}, {__version__}"
    assert "2048 of 2048 pages free, 0 running, 0 waiting" in found["dit"]["found"]
    assert found["model served"]["found"].startswith("toy: pictures of 256 px a side, up to 768")


def test_lines_for_people_say_what_to_do(tmp_path: Path) -> None:
    done = bagel("doctor", "--model", "no-such-model", url=f"http://127.0.0.1:{free_port()}", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    wrong = next(index for index, line in enumerate(lines) if line.startswith("fail server "))
    assert "no server at" in lines[wrong]
    assert lines[wrong + 1].strip().startswith("-> start one with `bagel serve`")
    assert any(line.startswith("fail model ") and "no such folder" in line for line in lines)


def test_without_a_network_all_but_the_server_is_told() -> None:
    allowed = subprocess.run([*OWN_NETWORK, "true"], capture_output=True, text=True, check=False)
    if allowed.returncode != 0:
        pytest.skip(f"this machine lets us make no network: {allowed.stderr.strip()}")
    # Nobody named a server, so that there is none is no failure.
    status, found = findings("doctor", "--model", "ByteDance-Seed/BAGEL-7B-MoT", prefix=OWN_NETWORK)
    assert status == 0
    assert levels(found, "packages", "torch", "model", "server") == ["ok", "ok", "warn", "warn"]
    assert "is not on this machine" in found["model"]["found"]


def test_a_server_whose_stages_are_away_is_reached_but_not_ready() -> None:
    port, away = free_port(), f"127.0.0.1:{free_port()}"
    flags = ("--port", str(port), "--thinker", away, "--dit", away, "--log-format", "json")
    with running("services.gateway", *flags) as gateway:
        gateway.wait_event("starting")
        status, found = findings("doctor", url=f"http://127.0.0.1:{port}")
        while found["server"]["level"] != "ok":  # it says that it starts before it listens
            status, found = findings("doctor", url=f"http://127.0.0.1:{port}")
        assert status == 1
        assert levels(found, "server", "thinker", "ready") == ["ok", "warn", "fail"]
        assert f"thinker at {away}: cannot be reached" in found["ready"]["found"]
        asked = bagel("chat", "Hi", url=f"http://127.0.0.1:{port}")
        assert asked.returncode == 69
        assert "no Thinker is ready" in asked.stderr


def test_a_port_that_another_program_has_is_told_from_a_free_one(tmp_path: Path) -> None:
    port = free_port()
    _, found = findings("doctor", url=f"http://127.0.0.1:{port}", cwd=tmp_path)
    assert found[f"port {port}"]["level"] == "ok"
    with running("http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)) as other:
        while "/livez" not in other.tail():
            status, found = findings("doctor", url=f"http://127.0.0.1:{port}", cwd=tmp_path)
        assert status == 1
        assert "as bagel-serve never does" in found["server"]["found"]
        assert found[f"port {port}"]["level"] == "fail"


def test_broken_files_of_a_model_are_found(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(GOLDEN, model)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in model.iterdir() if path.is_file()}
    (model / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    status, found = findings("config", "check", str(model))
    assert (status, levels(found, "model", "weights", "hashes")) == (0, ["ok"] * 3)
    weights = model / "ae.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(other_end(whole))
    status, found = findings("config", "check", str(model))
    assert (status, found["hashes"]["found"]) == (78, "differ: ae.safetensors")
    weights.write_bytes(whole[:-1])
    status, found = findings("doctor", "--model", str(model), url="http://127.0.0.1:1")
    assert f"ae.safetensors: has {len(whole) - 1} bytes, should have {len(whole)}" in found["weights"]["found"]
    (model / "llm_config.json").write_text("{")
    status, found = findings("config", "check", str(model))
    assert (status, found["model"]["level"]) == (78, "fail")
    weights.unlink()
    status, found = findings("config", "check", str(model))
    assert "lacks ae.safetensors" in found["model"]["found"]


def test_a_model_of_the_hub_is_looked_for_in_the_cache_alone(tmp_path: Path) -> None:
    commit, cache = "0" * 40, tmp_path / "models--owner--name"
    snapshot = cache / "snapshots" / commit
    for folder in (cache / "blobs", cache / "refs", snapshot):
        folder.mkdir(parents=True)
    (cache / "refs" / "main").write_text(commit)
    with socket.create_server(("127.0.0.1", 0)) as hub:
        endpoint = f"http://127.0.0.1:{hub.getsockname()[1]}"
        asked = {"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": endpoint, "url": "http://127.0.0.1:1"}
        _, found = findings("doctor", "--model", "owner/name", **asked)
        assert "lacks ema.safetensors and ae.safetensors" in found["model"]["found"]
        for path in GOLDEN.iterdir():
            blob = cache / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
            shutil.copy(path, blob)
            (snapshot / path.name).symlink_to(blob)
        _, found = findings("doctor", "--model", "owner/name", **asked)
        assert found["model"]["found"].startswith("owner/name in ")
        assert found["hashes"] == {"level": "ok", "name": "hashes", "found": "of 2 files are right", "cure": ""}
        blob = (snapshot / "ema.safetensors").resolve()
        blob.write_bytes(other_end(blob.read_bytes()))
        _, found = findings("doctor", "--model", "owner/name", **asked)
        assert found["hashes"]["found"] == "differ: ema.safetensors"
        assert select.select([hub], [], [], 0)[0] == [], "somebody asked the hub"


def test_the_default_model_is_checked_when_no_file_is_named() -> None:
    status, found = findings("config", "check")
    assert (status, levels(found, "model", "weights")) == (0, ["ok", "ok"])


@pytest.mark.parametrize(
    ("text", "status", "name", "says"),
    [
        (
            WAYS + "stages: [{stage_id: 0, output_connectors: {a: [near, far]}}, "
            "{stage_id: 1, input_connectors: {a: [near, far]}}]",
            0, "dit", "pages over shm, then zeromq",
        ),
        (WAYS + "stages: [{stage_id: 0, output_connectors: {a: near}}]", 0, "connectors", "no stage uses far"),
        (
            WAYS + "stages: [{stage_id: 0, output_connectors: {a: near}}, "
            "{stage_id: 1, input_connectors: {a: far}}]",
            78, "link", "no connector of one kind in common",
        ),
        (
            WAYS + "stages: [{stage_id: 1, input_connectors: {a: nere}}]",
            78, "file", "deploy.yaml:2: input_connectors.a names 'nere', which is not defined",
        ),
        ("conectors: {}", 78, "file", "deploy.yaml:1: unknown key conectors; the nearest valid key is connectors"),
        ("connectors: {a: {name: ZeroMQConnector, extra: {bnd: x}}}\nstages: [{stage_id: 0, input_connectors: {x: a}}]",
         78, "file", "did you mean bind?"),
        ("stages: [{stage_id: 2}]", 78, "file", "stage_id is 2; the pipeline bagel has 0 (thinker) and 1 (dit)"),
        ("stages: [{stage_id: 1}, {stage_id: 1}]", 78, "file", "stage 1 stands there twice"),
        ("stages: {stage_id: 1}", 78, "file", "stages: Input should be a valid list"),
        ("stages: [{stage_id: 1, input_connectors: [a]}]", 78, "file", "input_connectors: Input should be"),
        ("connectors: [a]", 78, "file", "connectors: Input should be a valid dictionary"),
        ("- a", 78, "file", "must be a mapping with"),
        ("a: [", 78, "file", "is no YAML"),
    ],
)  # fmt: skip
def test_a_deploy_file_is_checked_as_the_stages_would_read_it(
    tmp_path: Path, text: str, status: int, name: str, says: str
) -> None:
    (tmp_path / "deploy.yaml").write_text(text)
    done, found = findings("config", "check", "deploy.yaml", cwd=tmp_path)
    assert done == status
    assert says in found[name]["found"]


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = bagel("config", "check", "none.yaml", cwd=tmp_path)
    assert done.returncode == 78
    assert done.stdout.startswith(
        "fail file            --deploy-config none.yaml: no such file; bundled are bagel.yaml"
    )


@pytest.mark.parametrize("arguments", [("--help",), ("generate", "--help"), ("chat", "--help"), ("doctor", "--help")])
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not loaded(*arguments) & {"torch", "grpc", "httpx", "yaml", "numpy", "PIL", "structlog"}


def test_a_command_that_asks_a_server_loads_no_torch(server: Server, tmp_path: Path) -> None:
    arguments = ("generate", "A cat", *QUICK, "-o", str(tmp_path / "x.png"), "--url", url_of(server))
    modules = loaded(*arguments)
    assert {"httpx", "PIL"} <= modules
    assert not modules & {"torch", "grpc", "numpy", "transport", "transformers"}


def loaded(*arguments: str) -> set[str]:
    """Top-level modules that a command imports."""
    done = bagel(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}
