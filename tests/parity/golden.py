"""A golden folder: its cases, and what of a case may be read before computing (inputs, settings, noise)."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from bagel.contexts import Output, Role
from bagel.images import to_rgb
from bagel.model.flow import timesteps
from bagel.settings import DecodeSettings, Guidance, Renorm, SamplerSettings
from services.thinker.prepare import ContextRequest, ImageSegment, TextSegment


class Golden:
    """The folder and its manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.checkpoint = folder / self.manifest.get("checkpoint", {}).get("folder", "checkpoint")

    def cases(self) -> list["Case"]:
        return [self.case(name) for name in self.manifest["cases"]]

    def case(self, name: str) -> "Case":
        entry = self.manifest["cases"][name]
        return Case(self.folder, name, entry["kind"], entry["json"], entry.get("tensors"))

    def drift(self, name: str) -> dict[str, Any]:
        drift: dict[str, Any] = self.manifest["bf16_reference_drift"].get(name, {})
        return drift


@dataclass(frozen=True)
class Case:
    """One case. `json` and `tensors` are what the official model gave: expectations, except where a method says."""

    folder: Path
    name: str
    kind: str
    json_path: str
    tensors_path: str | None

    @cached_property
    def json(self) -> Any:
        return json.loads((self.folder / self.json_path).read_text())

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        return load_file(self.folder / self.tensors_path) if self.tensors_path else {}

    @property
    def taylorseer(self) -> bool:
        return bool(self.params.get("enable_taylorseer", False))

    @property
    def params(self) -> dict[str, Any]:
        params: dict[str, Any] = {} if isinstance(self.json, list) else self.json.get("params", {})
        return params

    @property
    def makes_image(self) -> bool:
        return "num_timesteps" in self.params

    @property
    def makes_text(self) -> bool:
        return bool(self.params.get("understanding_output", False))

    @property
    def fed_limit(self) -> int:
        """Most tokens that may be fed while decoding, the leading bos among them."""
        return int(self.params["max_think_token_n"])

    def image(self, file: str) -> Image.Image:
        with Image.open(self.folder / file) as image:
            image.load()
        return to_rgb(image)

    def request(self, *, roles: tuple[Role, ...] = tuple(Role)) -> ContextRequest:
        """The case's inputs and settings as a request."""
        think = bool(self.params.get("think", False))
        output = Output.TEXT if self.makes_text else Output.IMAGE
        writes = think or output is Output.TEXT
        segments = [
            TextSegment(item["text"]) if "text" in item else ImageSegment(self.image(item["image"]))
            for item in self.json["inputs"]
        ]
        # A limit of n fed tokens shows n - 1.
        decode = DecodeSettings(max_tokens=max(self.fed_limit - 1, 1)) if writes else None
        size = self.params.get("image_shapes")
        # The official inferencer lets the last picture override a requested size.
        wanted = tuple(size) if size and not any("image" in item for item in self.json["inputs"]) else None
        return ContextRequest(
            request_id=self.name, segments=segments, output=output, think=think,
            roles=roles if output is Output.IMAGE else (Role.GEN,), decode=decode, size=wanted,
        )  # fmt: skip

    def sampler(self) -> SamplerSettings:
        p = self.params
        return SamplerSettings(
            num_timesteps=p["num_timesteps"],
            timestep_shift=p["timestep_shift"],
            guidance=Guidance(
                text_scale=p["cfg_text_scale"],
                image_scale=p["cfg_img_scale"],
                interval=tuple(p["cfg_interval"]),
                renorm=Renorm(p["cfg_renorm_type"]),
                renorm_min=p["cfg_renorm_min"],
            ),
        )

    def start_noise(self) -> Tensor:
        return self.tensors["noise.init"]

    def times(self) -> Tensor:
        """Time points, computed."""
        return timesteps(self.params["num_timesteps"], self.params["timestep_shift"])


class CaseNoise:
    """The posterior noise stored with a case."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def posterior(self, request_id: str, image_index: int, digest: bytes, shape: tuple[int, ...]) -> Tensor:
        noise = self._case.tensors[f"vae{image_index}.posterior_noise"]
        assert tuple(noise.shape) == tuple(shape), f"noise {tuple(noise.shape)} for a latent {tuple(shape)}"
        return noise

    def start(self, request_id: str, seed: int, shape: tuple[int, ...]) -> Tensor:
        return self._case.start_noise()
