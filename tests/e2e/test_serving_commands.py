"""The documented serving commands of another system, its name replaced by ours, with the toy model and our paths.

Those that need several GPUs end with the one clear message, as does every mistake.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from bagel.stage_exit import EXIT_CONFIG
from tests.e2e.command import bagel
from tests.e2e.deployed import TASKS, ask, command_on_path
from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import ROOT, running
from tests.services.launch.test_older_files import OLDER

SCRIPTS = ROOT / "deploy" / "scripts"
START_S, MISTAKE_S = 60.0, 5.0
# As users have it; ranks and devices that this machine lacks are taken out.
CURRENT = """
base_config: bagel.yaml
pipeline: bagel_think
async_chunk: false
stages:
  - stage_id: 0
    devices: "0"
    max_num_seqs: 3
    max_num_batched_tokens: 32768
    gpu_memory_utilization: 0.45
    enforce_eager: false
    enable_prefix_caching: false
    trust_remote_code: true
    tensor_parallel_size: 1
    default_sampling_params: {temperature: 0.4, top_p: 0.9, top_k: 1, max_tokens: 4, max_think_tokens: 4, seed: 52,
                              detokenize: true, repetition_penalty: 1.05}
    output_connectors: {to_stage_1: shared_memory_connector}
  - stage_id: 1
    devices: "0"
    input_connectors: {from_stage_0: shared_memory_connector}
    default_sampling_params: {seed: 52}
connectors:
  shared_memory_connector: {name: SharedMemoryConnector}
platforms: {xpu: {max_inflight: 1}}
"""
GPUS = "tensor parallelism is not built yet"


@contextmanager
def script(name: str, *arguments: str, folder: Path, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """A script with its whole session, as a terminal has it."""
    log = (folder / "log").open("w+")
    with log, subprocess.Popen(
        [str(SCRIPTS / name), *arguments], env={**command_on_path(folder), **environment}, cwd=folder, stdout=log,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(START_S) == 0, (folder / "log").read_text()


def wait_ready(port: int) -> None:
    """Until a server answers every task."""
    seen: list[object] = []

    def look() -> bool:
        try:
            answer = http.get("/readyz")
        except httpx.HTTPError as error:
            seen[:] = [error]
            return False
        seen[:] = [answer.text]
        return answer.is_success

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=2) as http:
        wait_until(look, lambda: str(seen), START_S)


def test_run_server_with_a_deploy_file(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "deploy_config.yaml"
    path.write_text(CURRENT)
    named = {"MODEL": "toy", "PORT": str(port), "DEPLOY_CONFIG": str(path)}
    with script("run_server.sh", "--", "--load-format", "dummy", folder=tmp_path, **named):
        wait_ready(port)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            answer = ask(http, {"messages": TASKS["text2text"]["messages"]})
    assert answer["bagel"]["seed"] == 52
    assert answer["usage"]["completion_tokens"] == 4
    assert (tmp_path / "log").read_text().count('"devices_ignored"') == 2


def test_stages_one_by_one_of_an_older_file_in_one_session_and_a_third_with_another_model(tmp_path: Path) -> None:
    port, master, older = free_port(), free_port(), tmp_path / "stage_configs_file"
    older.write_text(OLDER)
    flags = ("--master-port", str(master), "--model", "toy", "--", "--stage-configs-path", str(older))
    with script("run_server_stage_cli.sh", *flags, folder=tmp_path, PORT=str(port)) as both:
        wait_ready(port)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            assert ask(http, TASKS["text2img"])
        other = ("serve", str(ROOT / "tests/golden/checkpoint"), "--omni", "--stage-id", "1", "--headless")
        refused = bagel(*other, "-oma", "127.0.0.1", "-omp", str(master))
        assert both.poll() is None
    assert (tmp_path / "log").read_text().splitlines().count("pipeline: bagel") == 2
    assert refused.returncode == EXIT_CONFIG, refused.stderr
    assert "toy" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(("arguments", "says"), [(("--stage", "2"), "take 0, 1 or all"), (("--stge", "1"), "unknown")])
def test_a_wrong_word_of_a_script_is_one_message(arguments: tuple[str, ...], says: str) -> None:
    done = subprocess.run(
        [str(SCRIPTS / "run_server_stage_cli.sh"), *arguments], capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, says in done.stderr) == (2, True)


def test_a_master_that_is_not_there_is_told_within_seconds_and_waited_for() -> None:
    master = free_port()
    flags = ("--omni", "--stage-id", "1", "--headless", "-oma", "127.0.0.1", "-omp", str(master))
    with running("services.cli.main", "serve", "toy", "--log-format", "json", *flags) as process:
        listening = process.wait_event("listening")
        told = process.wait_event("master_unreachable")
        took = datetime.fromisoformat(told["timestamp"]) - datetime.fromisoformat(listening["timestamp"])
        assert took.total_seconds() < MISTAKE_S
        assert told["master"] == f"127.0.0.1:{master}"
        assert "check --master" in told["hint"]


def mistakes(taken: int) -> dict[str, tuple[list[str], str]]:
    bad, far = (
        "stages: [{stage_id: 0, max_num_seq: 1}]",
        "stages: [{stage_id: 1, input_connectors: {from_stage_0: rdma}}]",
    )
    two = ["--tensor-parallel-size", "2", "--vae-patch-parallel-size", "2", "--vae-use-tiling"]
    return {
        "wrong key": (["--deploy-config", bad], ":1: unknown key stages[0].max_num_seq; the nearest valid key is"),
        "missing connector": (["--deploy-config", far], "names 'rdma', which is not defined under connectors"),
        "three ranks of four heads": (
            ["bagel-7b-mot", "--tensor-parallel-size", "3"], "tensor_parallel_size 3 does not divide the 4 KV heads of"
        ),
        "two GPUs": (["--deploy-config", "bagel_single_stage.yaml", *two], GPUS),
        "two ranks on a CPU": (["--device", "cpu", "--tensor-parallel-size", "2"], GPUS),
        "port taken": (["--port", str(taken)], f"127.0.0.1:{taken} cannot be listened on"),
        "master's port taken": (["--stage-id", "0", "-omp", str(taken)], "take another with --master-port"),
        "devices of no use": (
            ["owner/far-away", "--device", "cuda", "--stage-overrides", '{"1": {"devices": "0,1", "num_replicas": 3}}'],
            "2 devices cannot be shared out evenly among 3 replicas",
        ),
        "no master": (["--stage-id", "1", "--headless"], "give --master-address HOST"),
        "master unreachable": (
            ["--stage-id", "1", "--headless", "-oma", "127.0.0.1", "-omp", "9", "--master-wait-s", "1"],
            "nobody answers at the master's address 127.0.0.1:9 (Connection refused)",
        ),
        "another tree's path": (
            ["--deploy-config", "vllm_omni/deploy/bagel_single_stage.yaml"], "is deploy/bagel_single_stage.yaml"
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port


@pytest.mark.parametrize("name", mistakes(0))
def test_a_mistake_ends_with_one_clear_message(name: str, taken: int, tmp_path: Path) -> None:
    arguments, says = mistakes(taken)[name]
    for index, word in enumerate(arguments):
        if word.startswith("stages:"):
            arguments[index] = str(tmp_path / "deploy.yaml")
            (tmp_path / "deploy.yaml").write_text(word)
    if "--port" not in arguments:
        arguments += ["--port", str(free_port())]
    started = time.monotonic()
    done = bagel("serve", *arguments, CUDA_VISIBLE_DEVICES="0,1")
    assert time.monotonic() - started < MISTAKE_S
    assert done.returncode == EXIT_CONFIG
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "cannot_start" in line]) == 1
