"""What a deploy file may hold: every key with its type and bounds. What each changes is told in docs/deploy.md.

Every key may be left out, so that a file which builds on another, a part for one platform and flags have one form.
Whether values make sense together is asked once all of them are laid over each other (`checks`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bagel import limits

Count = Annotated[int, Field(ge=1)]
Replicas = Annotated[int, Field(ge=1, le=1024)]
Seed = Annotated[int, Field(ge=limits.SEED.least, le=limits.SEED.most)]
TextScale = Annotated[float, Field(ge=limits.TEXT_SCALE.least, le=limits.TEXT_SCALE.most)]
Tokens = Annotated[int, Field(ge=limits.NEW_TOKENS.least, le=limits.NEW_TOKENS.most)]
Task = Literal["text2text", "img2text", "text2img", "img2img"]

# Accepted because the files of other systems have them; here they change nothing, for these reasons.
INERT: Mapping[str, str] = MappingProxyType(
    {
        "enforce_eager": "every engine runs eagerly: nothing is compiled or captured yet",
        "trust_remote_code": "no code of a checkpoint is ever run",
        "enable_prefix_caching": "false is how it is: there is no prefix cache yet, and true is refused",
        "async_chunk": "false is how it is: a stage sends pages as they become full, and true is refused",
    }
)

# Of `default_sampling_params`; a seed is of both, the rest of pictures.
TEXT_ONLY = ("temperature", "top_p", "top_k", "max_tokens", "max_think_tokens", "repetition_penalty", "detokenize")


def _as_text(value: object) -> object:
    """YAML reads `devices: 0` as a number."""
    return str(value) if type(value) is int else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


# What an operating system can hand to a process.
EnvName = Annotated[str, Field(pattern=r"^[^=\x00]+$")]
EnvValue = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^[^\x00]*$")]
Connectors = dict[str, Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class SamplingDefaults(_Strict):
    """What a request that says nothing takes. Names of requests' own fields, and two of other systems."""

    # Of texts.
    temperature: Annotated[float, Field(ge=limits.TEMPERATURE.least, le=limits.TEMPERATURE.most)] | None = None
    top_p: Annotated[float, Field(ge=limits.TOP_P.least, le=limits.TOP_P.most)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    max_tokens: Tokens | None = None
    max_think_tokens: Tokens | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    detokenize: bool | None = None
    # Of both.
    seed: Seed | None = None
    # Of pictures.
    num_inference_steps: Annotated[int, Field(ge=limits.TIMESTEPS.least, le=limits.TIMESTEPS.most)] | None = None
    timestep_shift: Annotated[float, Field(ge=limits.TIMESTEP_SHIFT.least, le=limits.TIMESTEP_SHIFT.most)] | None = None
    guidance_scale: TextScale | None = None
    cfg_text_scale: TextScale | None = None
    cfg_img_scale: Annotated[float, Field(ge=limits.IMAGE_SCALE.least, le=limits.IMAGE_SCALE.most)] | None = None
    cfg_interval: (
        Annotated[
            list[Annotated[float, Field(ge=limits.INTERVAL.least, le=limits.INTERVAL.most)]],
            Field(min_length=2, max_length=2),
        ]
        | None
    ) = None
    cfg_renorm_type: Literal["global", "channel", "text_channel"] | None = None
    cfg_renorm_min: Annotated[float, Field(ge=limits.RENORM_MIN.least, le=limits.RENORM_MIN.most)] | None = None
    negative_prompt: Annotated[str, Field(max_length=limits.NEGATIVE_PROMPT_CHARACTERS.most)] | None = None


class ParallelConfig(_Strict):
    """How a stage is spread over devices. Sizes over 1 are refused until an engine can."""

    tensor_parallel_size: Count | None = None
    vae_patch_parallel_size: Count | None = None
    use_hsdp: bool | None = None
    hsdp_shard_size: Count | None = None
    hsdp_replicate_size: Count | None = None


class StageFields(_Strict):
    """One stage."""

    stage_id: Annotated[int, Field(ge=0)]
    devices: Annotated[str, BeforeValidator(_as_text)] | None = None
    num_replicas: Replicas | None = None
    tasks: Annotated[list[Task], Field(min_length=1)] | None = None
    max_num_seqs: Count | None = None
    max_num_batched_tokens: Count | None = None
    max_model_len: Count | None = None
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    enforce_eager: bool | None = None
    enable_prefix_caching: bool | None = None
    trust_remote_code: bool | None = None
    tensor_parallel_size: Count | None = None
    parallel_config: ParallelConfig | None = None
    vae_use_tiling: bool | None = None
    default_sampling_params: SamplingDefaults | None = None
    input_connectors: Connectors | None = None
    output_connectors: Connectors | None = None
    max_inflight: Count | None = None
    env: dict[EnvName, EnvValue] | None = None


class DeployPart(_Strict):
    """What may also stand under a platform."""

    pipeline: Literal["bagel", "bagel_think", "bagel_single_stage"] | None = None
    async_chunk: bool | None = None
    connectors: dict[str, Any] | None = None  # read by the transport, whose names and keys they are
    max_inflight: Count | None = None
    stages: list[StageFields] | None = None


class DeployFile(DeployPart):
    """A whole file."""

    base_config: str | None = None
    platforms: dict[Literal["cpu", "cuda", "rocm", "xpu", "npu", "musa"], DeployPart] | None = None
