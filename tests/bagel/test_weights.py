"""Filling stages: a tiny checkpoint of another shape than the golden one, what is refused, and dummy weights."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bagel.config import LlmConfig, ModelConfig, ResizeRule, VaeConfig, VitConfig, load_model_config
from bagel.errors import ConfigError
from bagel.model.names import ae_shapes, ema_shapes
from bagel.model.stages import DitModel, Slot, ThinkerModel
from bagel.model.weights import DummySource, SafetensorsSource, WeightSource, build_stage

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint"
# Other head ratio, one latent a token, two VAE levels, fewer blocks: nothing here has the golden proportions.
CONFIG = ModelConfig(
    llm=LlmConfig(
        hidden_size=24, num_layers=2, num_heads=6, num_kv_heads=2, intermediate_size=20, vocab_size=30, max_positions=64
    ),
    vit=VitConfig(hidden_size=16, num_layers=1, num_heads=2, intermediate_size=12, patch_size=4, image_size=16),
    vae=VaeConfig(channels=32, channel_multipliers=(1, 2), num_res_blocks=1, z_channels=3, downsample=2),
    vae_resize=ResizeRule(max_side=16, min_side=8, stride=2, max_pixels=256),
    vit_resize=ResizeRule(max_side=16, min_side=8, stride=4, max_pixels=256),
    latent_patch_size=1,
    max_latent_size=8,
    vit_grid_side=4,
)
MARKERS = (27, 11)
CPU = torch.device("cpu")
LAYER = "language_model.model.layers.1"
Tensors = dict[str, Tensor]


def _no_progress(done: int, total: int) -> None:
    pass


def _thinker(source: WeightSource, config: ModelConfig = CONFIG, dtype: torch.dtype = torch.float32) -> ThinkerModel:
    return build_stage(lambda: ThinkerModel(config), source, device=CPU, dtype=dtype, progress=_no_progress)


def _dit(source: WeightSource, config: ModelConfig = CONFIG, dtype: torch.dtype = torch.float32) -> DitModel:
    return build_stage(lambda: DitModel(config, MARKERS), source, device=CPU, dtype=dtype, progress=_no_progress)


def _random_tensors(dtype: torch.dtype) -> tuple[Tensors, Tensors]:
    generator = torch.Generator().manual_seed(3)
    ema = {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in ema_shapes(CONFIG).items()}
    ae = {name: torch.randn(shape, generator=generator) for name, shape in ae_shapes(CONFIG.vae).items()}
    return ema, ae


def _written(folder: Path, ema: Tensors, ae: Tensors) -> Path:
    save_file(ema, folder / "ema.safetensors")
    save_file(ae, folder / "ae.safetensors")
    return folder


def _slots(model: ThinkerModel | DitModel) -> list[Slot]:
    return list(model.slots())


def test_the_official_model_has_as_many_tensors_and_values_as_its_files() -> None:
    ema, ae = ema_shapes(ModelConfig()), ae_shapes(ModelConfig().vae)

    assert (len(ema), sum(torch.Size(shape).numel() for shape in ema.values())) == (1223, 14_607_260_128)
    assert (len(ae), sum(torch.Size(shape).numel() for shape in ae.values())) == (244, 83_819_683)


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_both_stages_hold_the_values_of_the_file(tmp_path: Path, stored: torch.dtype) -> None:
    ema, ae = _random_tensors(stored)
    source = SafetensorsSource(_written(tmp_path, ema, ae), CONFIG)
    values = {name: tensor.float() for name, tensor in (ema | ae).items()}

    for model in (_thinker(source), _dit(source)):
        for slot in _slots(model):
            expected = values[slot.name] if slot.rows is None else values[slot.name][list(slot.rows)]
            assert torch.equal(slot.target, expected), slot.name


def test_fused_products_are_the_files_tensors_in_order(tmp_path: Path) -> None:
    ema, ae = _random_tensors(torch.float32)
    source = SafetensorsSource(_written(tmp_path, ema, ae), CONFIG)

    for model in (_thinker(source), _dit(source)):
        for expert, suffix in ((model.mot.layers[1].und, ""), (model.mot.layers[1].gen, "_moe_gen")):
            qkv = [ema[f"{LAYER}.self_attn.{name}_proj{suffix}.weight"] for name in "qkv"]
            bias = [ema[f"{LAYER}.self_attn.{name}_proj{suffix}.bias"] for name in "qkv"]
            mlp = [ema[f"{LAYER}.mlp{suffix}.{name}_proj.weight"] for name in ("gate", "up")]
            assert torch.equal(expert.qkv.weight, torch.cat(qkv))
            assert torch.equal(expert.qkv.bias, torch.cat(bias))
            assert torch.equal(expert.gate_up.weight, torch.cat(mlp))


def test_a_dit_takes_two_rows_of_the_embeddings_and_no_more(tmp_path: Path) -> None:
    ema, ae = _random_tensors(torch.float32)
    dit = _dit(SafetensorsSource(_written(tmp_path, ema, ae), CONFIG))
    embeddings = ema["language_model.model.embed_tokens.weight"]

    assert torch.equal(dit.markers, embeddings[list(MARKERS)])
    assert not {slot.name for slot in _slots(dit)} & {"language_model.lm_head.weight", "vit_pos_embed.pos_embed"}
    assert torch.equal(dit.mot.norm_gen.weight, ema["language_model.model.norm_moe_gen.weight"])
    assert dit.mot.norm is None


def test_the_vae_stays_float32_when_the_rest_is_bfloat16(tmp_path: Path) -> None:
    ema, ae = _random_tensors(torch.bfloat16)
    source = SafetensorsSource(_written(tmp_path, ema, ae), CONFIG)
    thinker, dit = _thinker(source, dtype=torch.bfloat16), _dit(source, dtype=torch.bfloat16)

    assert torch.equal(thinker.encoder.conv_in.weight, ae["encoder.conv_in.weight"])
    assert torch.equal(dit.decoder.conv_out.weight, ae["decoder.conv_out.weight"])
    assert torch.equal(thinker.lm_head.weight, ema["language_model.lm_head.weight"])
    assert dit.llm2vae.weight.dtype == thinker.lm_head.weight.dtype == torch.bfloat16


def test_progress_counts_every_byte_of_a_stage(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    source = SafetensorsSource(_written(tmp_path, *_random_tensors(torch.float32)), CONFIG)
    model = build_stage(
        lambda: ThinkerModel(CONFIG),
        source,
        device=CPU,
        dtype=torch.float32,
        progress=lambda *step: seen.append(step),
    )
    total = sum(parameter.nbytes for parameter in model.parameters())

    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_every_missing_extra_and_misshapen_tensor_is_listed_at_once(tmp_path: Path) -> None:
    ema, ae = _random_tensors(torch.float32)
    del ema["llm2vae.bias"], ae["decoder.conv_in.weight"]
    ema["language_model.model.layers.2.mlp.up_proj.weight"] = torch.zeros(2, 2)
    ae["quant_conv.weight"] = torch.zeros(1)
    ema["vae2llm.weight"] = ema["vae2llm.weight"].T.contiguous()
    ae["encoder.conv_in.bias"] = torch.zeros(33)
    with pytest.raises(ConfigError) as refused:
        SafetensorsSource(_written(tmp_path, ema, ae), CONFIG)

    assert "(6 problems)" in str(refused.value)
    for line in (
        "ema.safetensors: llm2vae.bias is missing",
        "ae.safetensors: decoder.conv_in.weight is missing",
        "ema.safetensors: language_model.model.layers.2.mlp.up_proj.weight is not part of the model",
        "ae.safetensors: quant_conv.weight is not part of the model",
        "ema.safetensors: vae2llm.weight has shape [3, 24], expected [24, 3]",
        "ae.safetensors: encoder.conv_in.bias has shape [33], expected [32]",
    ):
        assert line in str(refused.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int8])
def test_other_stored_types_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    ema, ae = _random_tensors(torch.float32)
    ema["llm2vae.bias"] = ema["llm2vae.bias"].to(dtype)
    with pytest.raises(ConfigError, match=r"llm2vae\.bias is stored as \w+; BF16 and F32 are read"):
        SafetensorsSource(_written(tmp_path, ema, ae), CONFIG)


@pytest.mark.parametrize("kept", [0, 4, 100, -1, -1000])
@pytest.mark.parametrize("name", ["ema.safetensors", "ae.safetensors"])
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path: Path, name: str, kept: int) -> None:
    _written(tmp_path, *_random_tensors(torch.float32))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:kept])
    with pytest.raises(ConfigError, match=name):
        SafetensorsSource(tmp_path, CONFIG)


@pytest.mark.parametrize("content", [b"\xff" * 64, b"PK\x03\x04" + b"\0" * 60, (2).to_bytes(8, "little") + b"{]"])
def test_what_is_no_safetensors_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    _written(tmp_path, *_random_tensors(torch.float32))
    (tmp_path / "ema.safetensors").write_bytes(content)
    with pytest.raises(ConfigError, match=r"ema\.safetensors.*(not a safetensors file|is missing)"):
        SafetensorsSource(tmp_path, CONFIG)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    _written(tmp_path, *_random_tensors(torch.float32))
    (tmp_path / "ae.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"ae\.safetensors: cannot be read"):
        SafetensorsSource(tmp_path, CONFIG)


@pytest.fixture(params=["tiny", "golden"])
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return CONFIG if request.param == "tiny" else load_model_config(GOLDEN)


def _by_name(slots: Iterable[Slot]) -> Tensors:
    return {slot.name: slot.target for slot in slots if slot.rows is None}


def test_dummy_weights_are_the_same_in_both_stages_and_on_every_run(config: ModelConfig) -> None:
    source = DummySource(config)
    thinker, dit = _thinker(source, config), _dit(source, config)
    again = _thinker(DummySource(config), config)
    ours, theirs = _by_name(thinker.slots()), _by_name(dit.slots())
    shared = ours.keys() & theirs.keys()

    assert len(shared) > 20
    assert all(torch.equal(ours[name], theirs[name]) for name in shared)
    assert torch.equal(dit.markers, thinker.embed_tokens.weight[list(MARKERS)])
    assert all(torch.equal(ours[name], value) for name, value in _by_name(again.slots()).items())


def test_tensors_of_one_shape_get_different_dummy_weights() -> None:
    ours = _by_name(_thinker(DummySource(CONFIG)).slots())

    und, gen = (ours[f"{LAYER}.mlp{suffix}.up_proj.weight"] for suffix in ("", "_moe_gen"))
    assert not torch.equal(und, gen)
    assert not torch.equal(und, ours[f"{LAYER}.mlp.gate_proj.weight"])


@pytest.mark.parametrize("make", [ThinkerModel, lambda config: DitModel(config, MARKERS)], ids=["thinker", "dit"])
def test_no_number_of_a_stage_is_left_as_memory_had_it(
    config: ModelConfig, make: Callable[[ModelConfig], ThinkerModel | DitModel]
) -> None:
    model = make(config).requires_grad_(False)
    for parameter in model.parameters():
        parameter.fill_(torch.nan)
    DummySource(config).fill(model.slots(), _no_progress)

    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())
