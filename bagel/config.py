"""Checkpoint JSON -> frozen ModelConfig. The one place that knows the quirks of the official files.

Knows nothing of tensors, devices or where a checkpoint comes from. Source of the defaults and of every rule here:
the golden fixtures' README, sections 1 and 9.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bagel.errors import ConfigError, RequestError
from bagel.settings import DEFAULT_SIDE_PX, EDIT_GUIDANCE, TEXT_TO_IMAGE_GUIDANCE, Guidance, Renorm

ACTIVATIONS = ("gelu_pytorch_tanh", "gelu", "silu", "relu")


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmConfig:
    """The Qwen2-like language model. Both experts have these sizes."""

    hidden_size: int = 3584
    num_layers: int = 28
    num_heads: int = 28
    num_kv_heads: int = 4
    intermediate_size: int = 18944
    vocab_size: int = 152064
    max_positions: int = 32768
    rope_theta: float = 1e6
    rms_norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        """Size of one attention head, in numbers."""
        return self.hidden_size // self.num_heads


@dataclass(frozen=True, slots=True, kw_only=True)
class VitConfig:
    """The SigLIP vision tower. `num_layers` counts the layers that exist: the file counts one more."""

    hidden_size: int = 1152
    num_layers: int = 26
    num_heads: int = 16
    intermediate_size: int = 4304
    patch_size: int = 14
    image_size: int = 980
    num_channels: int = 3

    @property
    def num_positions(self) -> int:
        """Rows of the tower's own position table."""
        return (self.image_size // self.patch_size) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeConfig:
    """The FLUX autoencoder."""

    in_channels: int = 3
    out_channels: int = 3
    channels: int = 128
    channel_multipliers: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    z_channels: int = 16
    downsample: int = 8
    scale_factor: float = 0.3611
    shift_factor: float = 0.1159


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeRule:
    """How a picture is resized before it enters a tower; sizes in pixels."""

    max_side: int
    min_side: int
    stride: int
    max_pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Everything that decides the shapes and the arithmetic of one checkpoint."""

    llm: LlmConfig = field(default_factory=LlmConfig)
    vit: VitConfig = field(default_factory=VitConfig)
    vae: VaeConfig = field(default_factory=VaeConfig)
    vae_resize: ResizeRule = ResizeRule(max_side=1024, min_side=512, stride=16, max_pixels=14 * 14 * 9 * 1024)
    vit_resize: ResizeRule = ResizeRule(max_side=980, min_side=224, stride=14, max_pixels=14 * 14 * 9 * 1024)
    latent_patch_size: int = 2
    max_latent_size: int = 64
    vit_grid_side: int = 70
    connector_act: str = "gelu_pytorch_tanh"
    # Our own keys, the official behaviour where they are absent: the side, in pixels, of a picture whose size nobody
    # gave, and the guidance of one whose request says nothing about it.
    default_image_size: int | None = None
    text2img_guidance: Guidance = TEXT_TO_IMAGE_GUIDANCE
    img2img_guidance: Guidance = EDIT_GUIDANCE

    @property
    def token_pixels(self) -> int:
        """Side of the square of pixels that one latent token stands for."""
        return self.vae.downsample * self.latent_patch_size

    @property
    def token_channels(self) -> int:
        """Numbers in one latent token."""
        return self.vae.z_channels * self.latent_patch_size**2

    @property
    def max_image_side(self) -> int:
        """Longest side of an output picture, in pixels: the position table ends there."""
        return self.max_latent_size * self.token_pixels

    @property
    def default_image_side(self) -> int:
        """Side of a picture when neither the request nor an input picture gives one, in pixels."""
        return self.default_image_size or min(DEFAULT_SIDE_PX, self.max_image_side)


def load_model_config(folder: Path) -> ModelConfig:
    """Read `llm_config.json`, `vit_config.json` and `config.json` of a checkpoint folder.

    A missing key means the official value. `config.json` may be unreadable (an early official copy was not strict
    JSON), which means the official values too. Raises ConfigError that names the file and the key.
    """
    llm = _Section(folder / "llm_config.json", required=True)
    vit = _Section(folder / "vit_config.json", required=True)
    top = _Section(folder / "config.json", required=False)
    config = _top_config(top, _llm_config(llm), _vit_config(vit))
    _check(config, folder)
    return config


class _Section:
    """One JSON object, read key by key with types checked."""

    def __init__(self, path: Path, *, required: bool, name: str = "", values: Mapping[str, object] | None = None):
        self.path, self.name = path, name
        self.values: Mapping[str, object] = _read_object(path, required=required) if values is None else values

    def section(self, key: str) -> "_Section":
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            raise ConfigError(f"{self.path}: {self.name}{key} must be an object, not {value!r}")
        return _Section(self.path, required=False, name=f"{self.name}{key}.", values=value or {})

    def integer(self, key: str, default: int, *, least: int = 1) -> int:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{self.path}: {self.name}{key} must be an integer of at least {least}, not {value!r}")
        return value

    def optional_integer(self, key: str) -> int | None:
        return None if self.values.get(key) is None else self.integer(key, 1)

    def number(self, key: str, default: float) -> float:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ConfigError(f"{self.path}: {self.name}{key} must be a number, not {value!r}")
        return float(value)

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, list) or not value or not all(type(v) is int and v > 0 for v in value):
            raise ConfigError(f"{self.path}: {self.name}{key} must be a list of positive integers, not {value!r}")
        return tuple(value)

    def fixed(self, key: str, only: object) -> None:
        value = self.values.get(key)
        if value is not None and value != only:
            raise ConfigError(f"{self.path}: {self.name}{key} = {value!r} is not supported, only {only!r} is")


def _read_object(path: Path, *, required: bool) -> Mapping[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if required:
            raise ConfigError(f"{path}: cannot be read as JSON ({error}); a checkpoint folder needs it") from error
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must hold a JSON object")
    return value


def _llm_config(s: _Section) -> LlmConfig:
    official = LlmConfig()
    s.fixed("hidden_act", "silu")
    s.fixed("tie_word_embeddings", False)
    s.fixed("use_sliding_window", False)
    return LlmConfig(
        hidden_size=s.integer("hidden_size", official.hidden_size),
        num_layers=s.integer("num_hidden_layers", official.num_layers),
        num_heads=s.integer("num_attention_heads", official.num_heads),
        num_kv_heads=s.integer("num_key_value_heads", official.num_kv_heads),
        intermediate_size=s.integer("intermediate_size", official.intermediate_size),
        vocab_size=s.integer("vocab_size", official.vocab_size),
        max_positions=s.integer("max_position_embeddings", official.max_positions),
        rope_theta=s.number("rope_theta", official.rope_theta),
        rms_norm_eps=s.number("rms_norm_eps", official.rms_norm_eps),
    )


def _vit_config(s: _Section) -> VitConfig:
    official = VitConfig()
    s.fixed("hidden_act", "gelu_pytorch_tanh")
    s.fixed("layer_norm_eps", 1e-6)
    return VitConfig(
        hidden_size=s.integer("hidden_size", official.hidden_size),
        # The file counts one layer more than exist and run.
        num_layers=s.integer("num_hidden_layers", official.num_layers + 1, least=2) - 1,
        num_heads=s.integer("num_attention_heads", official.num_heads),
        intermediate_size=s.integer("intermediate_size", official.intermediate_size),
        patch_size=s.integer("patch_size", official.patch_size),
        image_size=s.integer("image_size", official.image_size),
        num_channels=s.integer("num_channels", official.num_channels),
    )


def _vae_config(s: _Section) -> VaeConfig:
    official = VaeConfig()
    return VaeConfig(
        in_channels=s.integer("in_channels", official.in_channels),
        out_channels=s.integer("out_ch", official.out_channels),
        channels=s.integer("ch", official.channels),
        channel_multipliers=s.integers("ch_mult", official.channel_multipliers),
        num_res_blocks=s.integer("num_res_blocks", official.num_res_blocks),
        z_channels=s.integer("z_channels", official.z_channels),
        downsample=s.integer("downsample", official.downsample),
        scale_factor=s.number("scale_factor", official.scale_factor),
        shift_factor=s.number("shift_factor", official.shift_factor),
    )


def _resize_rule(s: _Section, official: ResizeRule) -> ResizeRule:
    return ResizeRule(
        max_side=s.integer("max_image_size", official.max_side),
        min_side=s.integer("min_image_size", official.min_side),
        stride=s.integer("image_stride", official.stride),
        max_pixels=s.integer("max_pixels", official.max_pixels),
    )


def _guidance(s: _Section, official: Guidance) -> Guidance:
    """Some of the fields that a request may have, over the official ones of the task."""
    renorm = s.values.get("cfg_renorm_type", official.renorm.value)
    if renorm not in [kind.value for kind in Renorm]:
        known = ", ".join(kind.value for kind in Renorm)
        raise ConfigError(f"{s.path}: {s.name}cfg_renorm_type must be one of {known}, not {renorm!r}")
    try:
        return replace(
            official,
            text_scale=s.number("cfg_text_scale", official.text_scale),
            image_scale=s.number("cfg_img_scale", official.image_scale),
            renorm=Renorm(renorm),
        )
    except RequestError as error:
        raise ConfigError(f"{s.path}: {s.name.rstrip('.')}: {error}") from None


def _top_config(s: _Section, llm: LlmConfig, vit: VitConfig) -> ModelConfig:
    official = ModelConfig()
    for key, only in (("interpolate_pos", False), ("visual_gen", True), ("visual_und", True)):
        s.fixed(key, only)
    act = s.values.get("connector_act") or official.connector_act
    if act not in ACTIVATIONS:
        raise ConfigError(f"{s.path}: connector_act must be one of {', '.join(ACTIVATIONS)}, not {act!r}")
    guidance = s.section("default_guidance")
    return ModelConfig(
        llm=llm,
        vit=vit,
        vae=_vae_config(s.section("vae_config")),
        vae_resize=_resize_rule(s.section("vae_transform"), official.vae_resize),
        vit_resize=_resize_rule(s.section("vit_transform"), official.vit_resize),
        latent_patch_size=s.integer("latent_patch_size", official.latent_patch_size),
        max_latent_size=s.integer("max_latent_size", official.max_latent_size),
        vit_grid_side=s.integer("vit_max_num_patch_per_side", official.vit_grid_side),
        connector_act=str(act),
        default_image_size=s.optional_integer("default_image_size"),
        text2img_guidance=_guidance(guidance.section("text2img"), official.text2img_guidance),
        img2img_guidance=_guidance(guidance.section("img2img"), official.img2img_guidance),
    )


def _check(config: ModelConfig, folder: Path) -> None:
    """Refuse sizes that contradict each other, before any tensor is read."""
    llm, vit, vae = config.llm, config.vit, config.vae
    wrong = []
    if llm.hidden_size % llm.num_heads or llm.head_dim % 2:
        wrong.append("hidden_size must be num_attention_heads times an even head size")
    if llm.num_heads % llm.num_kv_heads:
        wrong.append("num_attention_heads must be a multiple of num_key_value_heads")
    if vit.hidden_size % vit.num_heads:
        wrong.append("the ViT's hidden_size must be a multiple of its num_attention_heads")
    if vae.downsample != 2 ** (len(vae.channel_multipliers) - 1):
        wrong.append(f"downsample {vae.downsample} does not match {len(vae.channel_multipliers)} VAE levels")
    if any(vae.channels * m % 32 for m in vae.channel_multipliers):
        wrong.append("every VAE width must be a multiple of its 32 norm groups")
    if (config.default_image_size or 0) % config.token_pixels:
        wrong.append(f"default_image_size must be a multiple of the {config.token_pixels} px of a token")
    if (config.default_image_size or 0) > config.max_image_side:
        wrong.append(f"default_image_size must be at most {config.max_image_side}, where max_latent_size ends")
    if wrong:
        raise ConfigError(f"{folder}: the configuration contradicts itself: " + "; ".join(wrong))
