"""Checkpoint configurations: official values for what is missing, refusals that name file and key."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bagel.config import LlmConfig, ModelConfig, VaeConfig, VitConfig, load_model_config
from bagel.errors import ConfigError
from bagel.settings import EDIT_GUIDANCE, TEXT_TO_IMAGE_GUIDANCE, Renorm

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint"


def _folder(path: Path, *, llm: object = None, vit: object = None, top: object = None) -> Path:
    """A checkpoint folder with these JSON files; `config.json` is left out when there is nothing to put in."""
    (path / "llm_config.json").write_text(json.dumps({} if llm is None else llm))
    (path / "vit_config.json").write_text(json.dumps({} if vit is None else vit))
    if top is not None:
        (path / "config.json").write_text(json.dumps(top))
    return path


def test_missing_keys_mean_the_official_values(tmp_path: Path) -> None:
    config = load_model_config(_folder(tmp_path))

    assert config == ModelConfig()
    assert config.llm == LlmConfig(
        hidden_size=3584, num_layers=28, num_heads=28, num_kv_heads=4, intermediate_size=18944, vocab_size=152064,
        max_positions=32768, rope_theta=1e6, rms_norm_eps=1e-6,
    )  # fmt: skip
    assert config.vit == VitConfig(
        hidden_size=1152, num_layers=26, num_heads=16, intermediate_size=4304, patch_size=14, image_size=980
    )
    assert config.vae == VaeConfig(
        channels=128, channel_multipliers=(1, 2, 4, 4), num_res_blocks=2, z_channels=16, downsample=8,
        scale_factor=0.3611, shift_factor=0.1159,
    )  # fmt: skip


def test_the_official_sizes_follow_from_the_official_values(tmp_path: Path) -> None:
    config = load_model_config(_folder(tmp_path, top={}))

    assert (config.vae_resize.max_side, config.vae_resize.min_side, config.vae_resize.stride) == (1024, 512, 16)
    assert (config.vit_resize.max_side, config.vit_resize.min_side, config.vit_resize.stride) == (980, 224, 14)
    assert config.vae_resize.max_pixels == config.vit_resize.max_pixels == 1806336
    assert (config.token_pixels, config.token_channels, config.max_image_side) == (16, 64, 1024)
    assert (config.llm.head_dim, config.vit.num_positions, config.vit_grid_side) == (128, 4900, 70)


@pytest.mark.parametrize("text", ['{"latent_patch_size": 3,}', "", "{", '{"name": ["BAGEL",]}', "\x00"])
def test_an_unreadable_config_json_means_the_official_values(tmp_path: Path, text: str) -> None:
    folder = _folder(tmp_path)
    (folder / "config.json").write_text(text)

    assert load_model_config(folder) == ModelConfig()


def test_a_config_json_in_another_encoding_means_the_official_values(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "config.json").write_bytes(b'{"name": "\xff\xfe"}')

    assert load_model_config(folder) == ModelConfig()


def test_a_null_means_the_official_value(tmp_path: Path) -> None:
    top = {"vae_config": None, "latent_patch_size": None, "vit_transform": {"image_stride": None}}

    assert load_model_config(_folder(tmp_path, llm={"rope_theta": None}, top=top)) == ModelConfig()


def test_the_golden_checkpoint_is_read_as_its_readme_says() -> None:
    config = load_model_config(GOLDEN)

    assert (config.llm.hidden_size, config.llm.num_layers, config.llm.vocab_size) == (256, 3, 672)
    assert (config.llm.num_heads, config.llm.num_kv_heads, config.llm.head_dim) == (4, 2, 64)
    assert (config.vae.channels, config.vae.channel_multipliers) == (32, (1, 1, 2, 2))
    assert (config.vae_resize.max_side, config.vae_resize.min_side, config.vae_resize.max_pixels) == (128, 64, 14336)
    assert (config.vit_resize.max_side, config.vit_resize.min_side, config.vit_resize.max_pixels) == (98, 56, 8624)
    assert (config.latent_patch_size, config.max_latent_size, config.vit_grid_side) == (2, 10, 8)
    assert config.max_image_side == 160


@pytest.mark.parametrize(
    ("top", "side"),
    [
        ({}, 1024),
        ({"max_latent_size": 128}, 1024),
        ({"max_latent_size": 10}, 160),
        ({"default_image_size": 256}, 256),
        ({"max_latent_size": 10, "default_image_size": 160}, 160),
    ],
)
def test_a_picture_without_a_size_has_the_checkpoints_or_the_official_side(
    tmp_path: Path, top: dict[str, int], side: int
) -> None:
    assert load_model_config(_folder(tmp_path, top=top)).default_image_side == side


@pytest.mark.parametrize(("side", "problem"), [(250, "a multiple of the 16 px of a token"), (1040, "at most 1024")])
def test_a_default_size_that_cannot_be_drawn_is_refused(tmp_path: Path, side: int, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"default_image_size must be {problem}"):
        load_model_config(_folder(tmp_path, top={"default_image_size": side}))


def test_a_checkpoint_may_have_guidance_of_its_own(tmp_path: Path) -> None:
    own = {"text2img": {"cfg_text_scale": 3}, "img2img": {"cfg_img_scale": 1.25, "cfg_renorm_type": "global"}}

    config = load_model_config(_folder(tmp_path, top={"default_guidance": own}))

    assert config.text2img_guidance == replace(TEXT_TO_IMAGE_GUIDANCE, text_scale=3.0)
    assert config.img2img_guidance == replace(EDIT_GUIDANCE, image_scale=1.25, renorm=Renorm.GLOBAL)
    assert load_model_config(_folder(tmp_path, top={})).img2img_guidance == EDIT_GUIDANCE


@pytest.mark.parametrize(("in_file", "exist"), [(2, 1), (3, 2), (27, 26)])
def test_the_vit_has_one_layer_less_than_its_file_says(tmp_path: Path, in_file: int, exist: int) -> None:
    config = load_model_config(_folder(tmp_path, vit={"num_hidden_layers": in_file}))

    assert config.vit.num_layers == exist


def test_a_vit_without_a_usable_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vit_config\.json: num_hidden_layers must be an integer of at least 2"):
        load_model_config(_folder(tmp_path, vit={"num_hidden_layers": 1}))


def test_all_contradictions_are_listed_at_once(tmp_path: Path) -> None:
    llm = {"hidden_size": 30, "num_attention_heads": 4, "num_key_value_heads": 3}
    vit = {"hidden_size": 10, "num_attention_heads": 4}
    top = {
        "vae_config": {"ch": 20, "ch_mult": [1, 2], "downsample": 8},
    }
    with pytest.raises(ConfigError) as refused:
        load_model_config(_folder(tmp_path, llm=llm, vit=vit, top=top))

    message = str(refused.value)
    assert message.startswith(f"{tmp_path}: ")
    for problem in (
        "hidden_size must be num_attention_heads times an even head size",
        "num_attention_heads must be a multiple of num_key_value_heads",
        "the ViT's hidden_size",
        "downsample 8 does not match 2 VAE levels",
        "32 norm groups",
    ):
        assert problem in message


def test_an_odd_head_size_is_refused_because_rotary_positions_need_pairs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="even head size"):
        load_model_config(
            _folder(tmp_path, llm={"hidden_size": 36, "num_attention_heads": 4, "num_key_value_heads": 2})
        )


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"llm": {"hidden_size": "256"}}, ("llm_config.json", "hidden_size", "'256'")),
        ({"llm": {"num_hidden_layers": 2.0}}, ("llm_config.json", "num_hidden_layers", "2.0")),
        ({"llm": {"vocab_size": True}}, ("llm_config.json", "vocab_size", "True")),
        ({"llm": {"num_key_value_heads": 0}}, ("llm_config.json", "num_key_value_heads", "0")),
        ({"llm": {"rope_theta": "1e6"}}, ("llm_config.json", "rope_theta", "'1e6'")),
        ({"llm": {"hidden_act": "gelu"}}, ("llm_config.json", "hidden_act", "'silu'")),
        ({"llm": {"tie_word_embeddings": True}}, ("llm_config.json", "tie_word_embeddings", "False")),
        ({"llm": [1]}, ("llm_config.json", "JSON object")),
        ({"vit": {"patch_size": -14}}, ("vit_config.json", "patch_size", "-14")),
        ({"vit": {"layer_norm_eps": 1e-5}}, ("vit_config.json", "layer_norm_eps", "1e-06")),
        ({"top": {"vae_config": {"ch_mult": [1, "2"]}}}, ("config.json", "vae_config.ch_mult")),
        ({"top": {"vae_config": {"ch_mult": []}}}, ("config.json", "vae_config.ch_mult")),
        ({"top": {"vae_config": {"scale_factor": [1]}}}, ("config.json", "vae_config.scale_factor")),
        ({"top": {"vit_transform": {"max_pixels": "x"}}}, ("config.json", "vit_transform.max_pixels", "'x'")),
        ({"top": {"vae_transform": 16}}, ("config.json", "vae_transform", "object")),
        ({"top": {"default_image_size": "256"}}, ("config.json", "default_image_size", "'256'")),
        ({"top": {"default_guidance": {"img2img": {"cfg_renorm_type": "most"}}}}, ("config.json", "img2img", "'most'")),
        ({"top": {"default_guidance": {"text2img": {"cfg_text_scale": 1e9}}}}, ("default_guidance", "text2img", "100")),
        ({"top": {"default_guidance": 3}}, ("config.json", "default_guidance", "object")),
        ({"top": {"default_image_size": 0}}, ("config.json", "default_image_size", "at least 1")),
        ({"top": {"connector_act": "tanh"}}, ("config.json", "connector_act", "gelu_pytorch_tanh")),
        ({"top": {"interpolate_pos": True}}, ("config.json", "interpolate_pos")),
        ({"top": {"visual_gen": False}}, ("config.json", "visual_gen")),
        ({"top": ["not", "an", "object"]}, ("config.json", "JSON object")),
    ],
)
def test_a_wrong_value_is_refused_by_file_and_key(
    tmp_path: Path, files: dict[str, object], named: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_model_config(_folder(tmp_path, **files))

    for part in named:
        assert part in str(refused.value)


@pytest.mark.parametrize("name", ["llm_config.json", "vit_config.json"])
def test_a_missing_or_broken_required_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = _folder(tmp_path)
    (folder / name).write_text("{")
    with pytest.raises(ConfigError, match=name):
        load_model_config(folder)
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=name):
        load_model_config(folder)
