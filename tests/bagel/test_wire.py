"""Our own types as messages and back; what is refused; and that nothing of the prompt can reach a DiT."""

import pytest
from google.protobuf.descriptor import Descriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from bagel import wire
from bagel.contexts import Role
from bagel.errors import IncompleteContextError, RequestError
from bagel.kv_layout import KvLayout, KvMemory, PageRun
from bagel.limits import SEED
from bagel.settings import DecodeSettings, Guidance, ModelLimits, Renorm, SamplerSettings
from bagel.v1 import dit_pb2, kv_pb2, settings_pb2, thinker_pb2

LAYOUT = KvLayout(num_layers=3, num_kv_heads=2, head_dim=64, page_tokens=16, dtype="bfloat16")
UNIT = st.floats(0.0, 1.0)
SAMPLERS = st.builds(
    SamplerSettings,
    num_timesteps=st.integers(2, 1000),
    timestep_shift=st.floats(1e-3, 100.0),
    guidance=st.builds(
        Guidance,
        text_scale=st.floats(0.0, 100.0),
        image_scale=st.floats(0.0, 100.0),
        interval=st.tuples(UNIT, UNIT).map(lambda pair: (min(pair), max(pair))),
        renorm=st.sampled_from(list(Renorm)),
        renorm_min=UNIT,
    ),
)
DECODES = st.builds(
    DecodeSettings,
    max_tokens=st.integers(1, 32768),
    temperature=st.floats(0.0, 2.0),
    top_p=st.floats(1e-6, 1.0),
    top_k=st.integers(0, 1_000_000),
    repetition_penalty=st.floats(0.01, 10.0),
    seed=st.integers(0, SEED.most),
)
# Every field that a DiT can be sent: settings, sizes, where pages lie. No text, no token id, no input picture.
# fmt: off
FIELDS_OF_A_DIT = {
    "GenerateRequest": {"request", "handle", "sampler", "seed", "n", "output", "previews"},
    "RequestId": {"id", "attempt"},
    "KvHandle": {
        "handle_id", "request", "epoch", "control_address", "data_endpoints", "layout", "read_token", "max_pages",
    },
    "DataEndpoint": {"transport", "address", "secure"},
    "KvLayout": {"dtype", "axes", "shape", "strides_bytes", "page_stride_bytes", "shard"},
    "HeadShard": {"first_head", "num_heads"},
    "SamplerSettings": {"num_timesteps", "timestep_shift", "guidance"},
    "Guidance": {"text_scale", "image_scale", "interval_low", "interval_high", "renorm", "renorm_min"},
    "OutputSettings": {"format", "quality"},
    "PreviewSettings": {"count", "max_side_px"},
    "ReadEvent": {"granted", "pages_ready", "sealed"},
    "Granted": {"data_token"},
    "PagesReady": {"runs", "digests", "generations", "inline"},
    "PageRun": {"start", "count"},
    "Sealed": {"contexts", "output_height", "output_width", "unique_pages"},
    "SealedContext": {"roles", "runs", "tokens", "rope"},
}
# fmt: on


@settings(deadline=None)
@given(sampler=SAMPLERS)
def test_sampler_settings_come_back_exactly(sampler: SamplerSettings) -> None:
    sent = wire.sampler_to_proto(sampler).SerializeToString()

    assert wire.sampler_from_proto(settings_pb2.SamplerSettings.FromString(sent)) == sampler


@settings(deadline=None)
@given(decode=DECODES)
def test_decode_settings_come_back_exactly(decode: DecodeSettings) -> None:
    sent = wire.decode_to_proto(decode).SerializeToString()

    assert wire.decode_from_proto(settings_pb2.DecodeSettings.FromString(sent)) == decode


def test_settings_that_were_not_sent_change_no_token() -> None:
    """A caller that knows neither top_k nor the penalty."""
    decode = wire.decode_from_proto(settings_pb2.DecodeSettings(max_tokens=5, temperature=0.5, top_p=0.9))
    assert (decode.top_k, decode.repetition_penalty) == (0, 1.0)


@settings(deadline=None)
@given(
    layers=st.integers(1, 40),
    heads=st.integers(1, 32),
    dim=st.integers(1, 256),
    page_tokens=st.integers(1, 64),
    dtype=st.sampled_from(["float32", "bfloat16"]),
)
def test_a_layout_comes_back_exactly(layers: int, heads: int, dim: int, page_tokens: int, dtype: str) -> None:
    layout = KvLayout(num_layers=layers, num_kv_heads=heads, head_dim=dim, page_tokens=page_tokens, dtype=dtype)
    message = wire.layout_to_proto(layout)

    read = wire.memory_from_proto(kv_pb2.KvLayout.FromString(message.SerializeToString()))
    assert read == KvMemory.in_order(layout)
    assert read.has_whole_pages
    assert message.page_stride_bytes == layout.page_bytes


def test_the_strides_of_a_layout_are_those_of_its_axes() -> None:
    message = wire.layout_to_proto(LAYOUT)

    assert list(message.shape) == [2, 3, 2, 16, 64]
    assert list(message.strides_bytes) == [3 * 2 * 16 * 64 * 2, 2 * 16 * 64 * 2, 16 * 64 * 2, 64 * 2, 2]
    assert message.page_stride_bytes == 2 * 3 * 2 * 16 * 64 * 2


def test_roles_runs_formats_and_limits_come_back() -> None:
    roles = (Role.CFG_IMG, Role.GEN, Role.CFG_TEXT)
    runs = [PageRun(7, 2), PageRun(0, 1)]
    info = settings_pb2.ModelInfo(token_pixels=16, max_side_px=1024, default_side_px=256, max_context_tokens=4096)
    limits = ModelLimits(token_pixels=16, max_side_px=1024, default_side_px=256, max_context_tokens=4096)

    assert wire.roles_from_proto(wire.roles_to_proto(roles), "roles") == roles
    assert wire.runs_from_proto(wire.runs_to_proto(runs)) == runs
    for name in ("png", "jpeg", "webp"):
        assert wire.format_from_proto(wire.format_to_proto(name)) == name
    assert wire.format_from_proto(dit_pb2.IMAGE_FORMAT_UNSPECIFIED) == "png"
    for reason in ("stop", "length"):
        assert wire.reason_from_proto(wire.reason_to_proto(reason)) == reason
    assert wire.reason_to_proto(None) == thinker_pb2.FINISH_REASON_UNSPECIFIED
    assert wire.limits_from_proto(info) == limits


def test_a_models_own_guidance_comes_back() -> None:
    drawing, editing = Guidance(text_scale=2.5), Guidance(image_scale=1.25, renorm=Renorm.CHANNEL, interval=(0.1, 0.9))
    info = settings_pb2.ModelInfo(
        token_pixels=16,
        text2img_guidance=wire.guidance_to_proto(drawing),
        img2img_guidance=wire.guidance_to_proto(editing),
    )

    limits = wire.limits_from_proto(info)

    assert (limits.guidance(edits=False), limits.guidance(edits=True)) == (drawing, editing)


def test_unknown_enum_values_are_refused_by_field() -> None:
    sampler = wire.sampler_to_proto(SamplerSettings())
    sampler.guidance.renorm = settings_pb2.RENORM_UNSPECIFIED
    with pytest.raises(RequestError) as refused:
        wire.sampler_from_proto(sampler)
    assert refused.value.param == "sampler.guidance.renorm"
    with pytest.raises(RequestError) as refused:
        wire.roles_from_proto([kv_pb2.ROLE_GEN, kv_pb2.ROLE_UNSPECIFIED], "roles")
    assert refused.value.param == "roles"
    with pytest.raises(RequestError) as refused:
        wire.format_from_proto(99)
    assert refused.value.param == "output.format"


def test_settings_out_of_bounds_are_refused_on_arrival_too() -> None:
    sampler = wire.sampler_to_proto(SamplerSettings())
    sampler.num_timesteps = 1
    with pytest.raises(RequestError) as refused:
        wire.sampler_from_proto(sampler)
    assert refused.value.param == "num_inference_steps"
    with pytest.raises(RequestError) as refused:
        wire.decode_from_proto(settings_pb2.DecodeSettings(max_tokens=4, top_p=float("nan")))
    assert refused.value.param == "top_p"
    with pytest.raises(RequestError, match="cfg_interval"):
        wire.sampler_from_proto(
            settings_pb2.SamplerSettings(
                num_timesteps=5,
                timestep_shift=1.0,
                guidance=settings_pb2.Guidance(interval_low=0.8, interval_high=0.2, renorm=settings_pb2.RENORM_GLOBAL),
            )
        )


def test_axes_in_another_order_mean_the_same() -> None:
    message = wire.layout_to_proto(LAYOUT)
    for values in (message.axes, message.shape, message.strides_bytes):
        values[:] = [values[4], *values[:4]]

    assert wire.memory_from_proto(message) == KvMemory.in_order(LAYOUT)


def test_a_layout_that_is_impossible_or_a_shard_cannot_be_read() -> None:
    sharded, short, twice, odd, empty, still = (wire.layout_to_proto(LAYOUT) for _ in range(6))
    sharded.shard.num_heads = 1
    del short.shape[-1]
    twice.axes[0] = twice.axes[1]
    odd.strides_bytes[0] += 1
    empty.shape[3] = 0
    still.page_stride_bytes = 0

    for message in (sharded, short, twice, odd, empty, still, kv_pb2.KvLayout()):
        with pytest.raises(IncompleteContextError):
            wire.memory_from_proto(message)


def _fields(message: Descriptor, found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Fields of a message and of every message within it, by message."""
    if message.name not in found:
        found[message.name] = {field.name for field in message.fields}
        for field in message.fields:
            if field.message_type is not None:
                _fields(field.message_type, found)
    return found


def test_no_message_to_a_dit_has_room_for_text_token_ids_or_input_pictures() -> None:
    found: dict[str, set[str]] = {}
    for message in (dit_pb2.GenerateRequest, kv_pb2.ReadEvent):
        _fields(message.DESCRIPTOR, found)

    assert found == FIELDS_OF_A_DIT
