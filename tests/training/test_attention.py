"""The kernels of training against torch, run by Triton's interpreter where Triton is installed."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

CHECK = """
import torch
from training.attention import APART, _attend, attend_by_group, samples_of

torch.manual_seed(0)
shapes = ((2, 70, 13), (3, 0, 40), (1, 66, 70))  # more than a tile of rows, no gen rows, both runs long
rows = sum(count * (gen + und) for count, gen, und in shapes)
samples = samples_of(shapes, torch.device("cpu"))
q, k, v = (torch.randn(rows, heads, 16, requires_grad=True) for heads in (4, 2, 2))
codes = (torch.randint(0, 7, (rows,)) * (APART // 5) + torch.randint(0, 2, (rows,))).int()
expected = attend_by_group(q, k, v, codes, shapes)
out, _ = _attend(q, k, v, codes, samples.runs, samples.tiles)
torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
towards = torch.randn_like(out)
gradients = torch.autograd.grad(out, (q, k, v), towards)
torch.testing.assert_close(gradients, torch.autograd.grad(expected, (q, k, v), towards), rtol=1e-4, atol=1e-4)
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed, as with CPU builds of torch")
def test_the_kernels_and_their_gradients_are_torchs() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", CHECK], env=environment, check=True, timeout=240)
