"""`examples/end2end.py` as scripts for BAGEL call it: four tasks, a file of prompts, and what it says of mistakes."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from services.launch.deploy.load import DeploySources
from services.launch.offline import Made, Offline, OfflineOptions, Prompt
from tests.e2e.command import environment
from tests.e2e.server import Server, read_picture, scene, user
from tests.processes import ROOT

SCRIPT = ROOT / "examples" / "end2end.py"
SIDE_PX = 64
SEED = 7


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model with small pictures."""
    folder = tmp_path_factory.mktemp("models") / "toy"
    folder.mkdir()
    for path in (ROOT / "models" / "toy").iterdir():
        if path.name != "config.json":
            (folder / path.name).symlink_to(path)
    config = json.loads((ROOT / "models" / "toy" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "default_image_size": SIDE_PX}))
    return folder


def run(cwd: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=90
    )  # fmt: skip


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_a_file_of_twenty_prompts_becomes_twenty_pictures_and_a_table(model: Path, tmp_path: Path) -> None:
    prompts = [f"A {colour} {thing}" for colour in ("red", "blue", "green", "black") for thing in
               ("cat", "house", "car", "tree", "flower")]  # fmt: skip
    (tmp_path / "prompts.txt").write_text("\n".join(prompts) + "\n\n")
    (tmp_path / "seeded.yaml").write_text(
        f"base_config: bagel_single_stage.yaml\nstages: [{{stage_id: 0, default_sampling_params: {{seed: {SEED}}}}}]\n"
    )
    done = run(
        tmp_path, "--model", model, "--txt-prompts", "prompts.txt", "--steps", "4", "--output", "drawn",
        "--deploy-config", "seeded.yaml", "--enable-stats",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = [f"{number:03d}-{prompt.lower().replace(' ', '-')}.png" for number, prompt in enumerate(prompts, 1)]
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == names
    assert {size_of(tmp_path / "drawn" / name) for name in names} == {(SIDE_PX, SIDE_PX)}
    line = rf"^\[\d+/20\] .*: drawn/.* \({SIDE_PX} x {SIDE_PX}, seed {SEED}\)$"
    assert len(re.findall(line, done.stderr, re.MULTILINE)) == 20
    assert re.search(r"20 of 20 prompts in [\d.]+ s: [\d.]+ pictures/s", done.stderr)
    for phase in ("queue", "prefill", "transfer", "denoise", "decode", "total"):
        assert f" {phase} " in done.stderr


def test_the_other_tasks_and_flags_that_mean_nothing(model: Path, tmp_path: Path) -> None:
    scene(96, 64).save(tmp_path / "in.png")
    edited = run(
        tmp_path, "--model", model, "--modality", "img2img", "--image-path", "in.png", "--prompts", "Make it red",
        "Make it blue", "--steps", "3", "--think",
    )  # fmt: skip
    assert edited.returncode == 0, edited.stderr
    for name in ("001-make-it-red.png", "002-make-it-blue.png"):
        assert size_of(tmp_path / "out" / name) == (192, 128)  # resized, as every edit
    assert edited.stdout.count("<think>") == 2
    described = run(tmp_path, "--model", model, "--modality", "img2text", "--image-path", "in.png")
    assert (described.returncode, described.stdout[:4]) == (0, "[1] "), described.stderr
    answered = run(
        tmp_path, "--model", model, "--modality", "text2text", "--prompts", "What is the capital of France?",
        "--worker-backend", "ray", "--ray-address", "auto", "--init-sleep-seconds", "20", "--batch-timeout", "5",
        "--init-timeout", "60", "--deploy-config", "bagel_multiconnector.yaml",
    )  # fmt: skip
    assert answered.stdout == "[1] The capital of France is Paris.\n", answered.stderr
    for flag in ("--worker-backend", "--ray-address", "--init-sleep-seconds", "--batch-timeout"):
        assert answered.stderr.count(f"{flag} changes nothing: ") == 1
    assert "connectors mean nothing in one process" in answered.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "nowhere"), "nowhere: no such folder"),
        (("--txt-prompts", "nowhere"), "nowhere: cannot be read (No such file or directory)"),
        (("--modality", "img2text", "--image-path", "nowhere"), "nowhere: cannot be read"),
        (("--modality", "img2img"), "--modality img2img needs --image-path"),
        (("--output", str(SCRIPT)), "no folder can be made there (File exists)"),
        (("--modality", "img2img", "--image-path", str(SCRIPT)), "is no PNG, JPEG or WebP file"),
        (("--deploy-config", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_a_wrong_path_ends_with_one_message(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("end2end: ")
    assert message in line


def test_a_prompt_means_what_it_means_over_http_and_a_wrong_one_leaves_the_others(server: Server) -> None:
    settings = {"seed": SEED, "num_inference_steps": 4, "height": 64, "width": 96}
    prompts = [
        Prompt(text="a red cat", draws=True, settings=settings),
        Prompt(text="a red cat", draws=True, settings={"height": 63, "width": 64}),
        Prompt(text="Hello", draws=False, settings={"max_tokens": 5}),
    ]
    with Offline(OfflineOptions(load_format="dummy")) as bagel:
        drawn, refused, written = sorted(bagel.generate(prompts), key=lambda made: made.index)
        endless = Prompt(
            text="a red cat", draws=True, settings={"height": 512, "width": 512, "num_inference_steps": 1000}
        )
        left = bagel.generate([prompts[2], endless, endless])
        assert next(left).index == 0
        left.close()
        began_s = time.monotonic()
        (again,) = bagel.generate([prompts[0]])
        assert time.monotonic() - began_s < 30.0  # nothing of what was left, minutes of work, is before it
    answer = server.answer(messages=user("a red cat"), modalities=["image"], **settings)
    assert (drawn.picture, drawn.seed) == (again.picture, again.seed) == (read_picture(answer), SEED)
    assert refused.error is not None
    assert refused == Made(index=1, prompt=prompts[1], error=refused.error)
    assert refused.error.startswith("height must be a multiple of 16, not 63")
    assert (written.error, bool(written.text)) == (None, True)


def test_a_deploy_file_gives_limits_and_defaults(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(
        "base_config: bagel_think.yaml\nmax_inflight: 3\nstages:\n- {stage_id: 0, max_num_seqs: 2}\n"
        "- {stage_id: 1, max_num_seqs: 4, num_replicas: 2}\n"
    )
    offline = Offline(OfflineOptions(deploy=DeploySources(deploy_config=str(tmp_path / "two.yaml"))))
    assert (offline.at_once, offline.unused) == (3, ("num_replicas",))


def test_a_model_that_is_not_there_in_time_keeps_nobody(tmp_path: Path) -> None:
    script = (
        "from services.launch.offline import Offline, OfflineOptions\n"
        "try:\n    Offline(OfflineOptions(load_format='dummy', init_timeout_s=0.01)).open()\n"
        "except Exception as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert "was not loaded within 0.01 s" in done.stdout, done.stderr
    assert done.returncode == 0
