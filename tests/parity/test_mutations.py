"""`make parity` must fail when the model is broken on purpose, in each of the ways that peers got wrong."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import ROOT


@dataclass(frozen=True)
class Mutation:
    """A mistake as a replacement in one file, and a case that must notice."""

    name: str
    file: str
    right: str
    wrong: str
    case: str


MUTATIONS = (
    Mutation(
        "marker rows of the sampling block on gen weights", "services/dit/denoiser.py",
        "num_gen=count * m,", "num_gen=count * (m + 2),", "text2img_global",
    ),
    Mutation(
        "marker rows of a context picture on gen weights", "services/thinker/runner.py",
        "num_gen=num_gen,\n            slots", "num_gen=num_gen and count + 2,\n            slots",
        "img2img_text_channel",
    ),
    Mutation(
        "one rope position per image token", "services/thinker/runner.py",
        "positions=torch.full((count + 2,), sequence.rope, device=self._device)",
        "positions=sequence.rope + torch.arange(count + 2, device=self._device)", "img2text",
    ),
    Mutation(
        "N steps instead of N - 1", "bagel/model/flow.py",
        "    times = timesteps(settings.num_timesteps, settings.timestep_shift)",
        "    from dataclasses import replace\n"
        "    settings = replace(settings, num_timesteps=settings.num_timesteps + 1)\n"
        "    times = timesteps(settings.num_timesteps, settings.timestep_shift)",
        "text2img_global",
    ),
    Mutation(
        "interval compared in double", "bagel/model/flow.py",
        "torch.tensor(interval, dtype=torch.float32)", "torch.tensor(interval, dtype=torch.float64)",
        "text2img_interval_edge",
    ),
    Mutation(
        "thought added to all contexts", "bagel/contexts.py",
        "        gen = [*gen, Block(BlockKind.THOUGHT)]\n",
        "        gen, cfg_text, cfg_img = ([*c, Block(BlockKind.THOUGHT)] for c in (gen, cfg_text, cfg_img))\n",
        "think_text2img",
    ),
    Mutation(
        "ViT fed the original picture", "services/thinker/prepare.py",
        "resized = resize(segment.image, config.vae_resize)", "resized = segment.image", "img2text",
    ),
    Mutation(
        "a page copy forgotten", "services/thinker/runner.py",
        "self._pool[copy.target] = self._pool[copy.source]", "pass", "think_text2img",
    ),
    Mutation(
        "posterior mean instead of a sample", "bagel/model/vae.py",
        "z = mean + torch.exp(0.5 * logvar) * noise", "z = mean", "img2img_global",
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code that parity runs, without the golden folder."""
    folder = tmp_path_factory.mktemp("mutants") / "tree"
    for name in ("bagel", "services", "transport"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    ignored = shutil.ignore_patterns("__pycache__", "golden", "test_*", "e2e")
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignored)
    return folder


def parity(folder: Path, case: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.parity.direct", str(ROOT / "tests" / "golden"), "--cases", case]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name.replace(" ", "-"))
def test_parity_fails_on(copied: Path, mutation: Mutation) -> None:
    path = copied / mutation.file
    source = path.read_text()
    assert source.count(mutation.right) == 1, f"{mutation.file} changed: rewrite this mutation"
    path.write_text(source.replace(mutation.right, mutation.wrong))
    try:
        done = parity(copied, mutation.case)
    finally:
        path.write_text(source)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"FAIL {mutation.case}" in done.stdout
    assert done.stdout.rstrip().endswith("0 passed, 1 failed")


def test_the_unbroken_copy_passes(copied: Path) -> None:
    done = parity(copied, "img2img_text_channel")
    assert done.returncode == 0, done.stdout + done.stderr
