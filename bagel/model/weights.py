"""Filling a stage's parameters: strictly checked safetensors straight from the mapped file, or seeded dummies.

Knows no model code beyond `Slot`. `torch.load` is never used.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor, nn

from bagel.config import ModelConfig
from bagel.errors import ConfigError
from bagel.model.embeddings import sincos_table
from bagel.model.names import AE_FILE, EMA_FILE, Shapes, ae_shapes, ema_shapes
from bagel.model.stages import DitModel, Slot, ThinkerModel, WholeModel

STORED_DTYPES = ("BF16", "F32")
MAX_HEADER_BYTES = 100_000_000
DUMMY_BIAS_STD = 0.02
Progress = Callable[[int, int], None]  # bytes done, bytes in all
StageModel = TypeVar("StageModel", ThinkerModel, DitModel, WholeModel)


class WeightSource(Protocol):
    """Where parameters come from."""

    def fill(self, slots: Iterable[Slot], progress: Progress) -> None:
        """Write every slot's target. Blocking; reports bytes as it goes."""
        ...


def build_stage(
    make: Callable[[], StageModel],
    source: WeightSource,
    *,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
) -> StageModel:
    """Make a stage's module without memory, give it memory on the device, fill it. The VAE stays float32."""
    with torch.device("meta"):
        model = make().requires_grad_(False).eval()
    model.to(dtype)
    for part in model.float32_parts:
        part.to(torch.float32)
    for module in model.modules():  # one by one: what a Thinker and a DiT share gets memory once
        module.to_empty(device=device, recurse=False)
    slots = list(model.slots())
    _check_covered(model, slots)
    source.fill(slots, progress)
    return model


class SafetensorsSource:
    """The official layout in a folder. Every name and shape of both files is checked before a byte is copied."""

    def __init__(self, folder: Path, config: ModelConfig) -> None:
        self._paths = {folder / EMA_FILE: ema_shapes(config), folder / AE_FILE: ae_shapes(config.vae)}
        problems = [line for path, shapes in self._paths.items() for line in _problems(path, shapes)]
        if problems:
            raise ConfigError(
                f"{folder}: the checkpoint does not fit its configuration ({len(problems)} problems):\n  "
                + "\n  ".join(problems)
            )

    def fill(self, slots: Iterable[Slot], progress: Progress) -> None:
        slots = list(slots)
        total = sum(slot.target.nbytes for slot in slots)
        done = 0
        with ExitStack() as stack:
            files = {}
            for path, shapes in self._paths.items():
                file = stack.enter_context(safe_open(str(path), framework="pt", device="cpu"))
                files.update(dict.fromkeys(shapes, file))
            for slot in slots:
                file = files[slot.name]
                if slot.rows is None:
                    slot.target.copy_(file.get_tensor(slot.name))
                else:
                    piece = file.get_slice(slot.name)
                    slot.target.copy_(torch.cat([piece[row : row + 1] for row in slot.rows]))
                done += slot.target.nbytes
                progress(done, total)


class DummySource:
    """Random weights for any configuration, seeded by tensor name, made on the device, without a file.

    Whole tensors are drawn and then cut, so that partial loads and ranks on one kind of device agree.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._shapes = ema_shapes(config) | ae_shapes(config.vae)

    def fill(self, slots: Iterable[Slot], progress: Progress) -> None:
        slots = list(slots)
        total = sum(slot.target.nbytes for slot in slots)
        done = 0
        for slot in slots:
            value = self._draw(slot.name, slot.target.device)
            slot.target.copy_(value if slot.rows is None else value[list(slot.rows)])
            done += slot.target.nbytes
            progress(done, total)

    def _draw(self, name: str, device: torch.device) -> Tensor:
        shape = self._shapes[name]
        if name.endswith("pos_embed.pos_embed"):
            return sincos_table(int(shape[0] ** 0.5), shape[1]).to(device)
        if len(shape) == 1 and name.endswith(".weight"):
            return torch.ones(shape, device=device)
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") & (2**63 - 1)
        generator = torch.Generator(device=device).manual_seed(seed)
        fan_in = torch.Size(shape).numel() // shape[0]
        std = DUMMY_BIAS_STD if len(shape) == 1 else fan_in**-0.5
        return torch.empty(shape, device=device).normal_(std=std, generator=generator)


def _problems(path: Path, shapes: Shapes) -> list[str]:
    stored = _read_header(path)
    problems = [f"{path.name}: {name} is missing" for name in shapes if name not in stored]
    problems += [f"{path.name}: {name} is not part of the model" for name in stored if name not in shapes]
    for name, (dtype, shape) in stored.items():
        if name not in shapes:
            continue
        if shape != shapes[name]:
            problems.append(f"{path.name}: {name} has shape {list(shape)}, expected {list(shapes[name])}")
        if dtype not in STORED_DTYPES:
            problems.append(f"{path.name}: {name} is stored as {dtype}; {' and '.join(STORED_DTYPES)} are read")
    return problems


def _read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Names, dtypes and shapes of a safetensors file, without its data. Raises ConfigError if it is cut short."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > min(MAX_HEADER_BYTES, os.fstat(file.fileno()).st_size):
                raise ConfigError(f"{path}: not a safetensors file, or cut short")
            header = json.loads(file.read(size))
            entries = {k: (v["dtype"], tuple(v["shape"])) for k, v in header.items() if k != "__metadata__"}
            end = max((entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"), default=0)
            if os.fstat(file.fileno()).st_size < 8 + size + end:
                raise ConfigError(f"{path}: the file is cut short; fetch it again")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); a checkpoint folder needs it") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a safetensors file ({error})") from error
    return entries


def _check_covered(model: nn.Module, slots: list[Slot]) -> None:
    """Every number of every parameter must come from some slot: memory starts uninitialised."""
    filled = sum(slot.target.numel() for slot in slots)
    owned = sum(parameter.numel() for parameter in model.parameters())
    assert filled == owned, f"slots fill {filled} numbers of {owned}"
