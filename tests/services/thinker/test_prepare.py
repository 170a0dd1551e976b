"""A request's sizes are known, and its impossible wishes refused, before it is queued."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bagel.config import ModelConfig, load_model_config
from bagel.contexts import Output, Role
from bagel.errors import RequestError
from bagel.settings import DecodeSettings
from bagel.tokens import Tokenizer
from services.thinker.prepare import ContextRequest, ImageSegment, TextSegment, model_limits, prepare

CHECKPOINT = Path("tests/golden/checkpoint")
CONFIG = load_model_config(CHECKPOINT)
TOKENIZER = Tokenizer(CHECKPOINT)
PICTURE = ImageSegment(Image.new("RGB", (120, 75)))
EDIT = ContextRequest(
    request_id="r", segments=(PICTURE, TextSegment("Redder")), output=Output.IMAGE, roles=(Role.CFG_TEXT, Role.CFG_IMG)
)


def test_every_nodes_size_is_known() -> None:
    prepared = prepare(EDIT, TOKENIZER, CONFIG)
    text = len(TOKENIZER.encode_block("Redder"))
    # 128 x 80 pixels are 8 x 5 latent tokens and, at 98 x 56, 7 x 4 patches; two markers each.
    assert prepared.job(CONFIG, deadline_s=0.0).node_tokens == (42, 30, text, text)
    assert prepared.output_size == (80, 128)


def test_a_size_asked_for_wins_over_the_pictures() -> None:
    assert prepare(replace(EDIT, size=(64, 96)), TOKENIZER, CONFIG).output_size == (64, 96)


def test_a_picture_alone_has_the_checkpoints_default_size() -> None:
    request = replace(EDIT, segments=(TextSegment("A cat"),))
    # This checkpoint names none, and draws no picture of the official 1024 px.
    assert prepare(request, TOKENIZER, CONFIG).output_size == (160, 160)
    assert prepare(request, TOKENIZER, replace(CONFIG, default_image_size=96)).output_size == (96, 96)


def test_an_edit_keeps_its_pictures_size_whatever_the_default_is() -> None:
    assert prepare(EDIT, TOKENIZER, replace(CONFIG, default_image_size=96)).output_size == (80, 128)


def test_the_limits_tell_the_default_size() -> None:
    assert model_limits(CONFIG, context_tokens=64).default_side_px == 160
    assert model_limits(replace(CONFIG, default_image_size=96), context_tokens=64).default_side_px == 96


@pytest.mark.parametrize("size", [(63, 64), (64, 176), (0, 64)])
def test_a_size_that_cannot_be_drawn_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(RequestError):
        prepare(replace(EDIT, size=size), TOKENIZER, CONFIG)


@pytest.mark.parametrize(
    "config",
    [replace(CONFIG, max_latent_size=7), replace(CONFIG, vit_grid_side=6), replace(CONFIG, vit_grid_side=70)],
    ids=["latents", "patches", "position table of the ViT"],
)
def test_a_picture_beyond_the_position_tables_is_refused(config: ModelConfig) -> None:
    with pytest.raises(RequestError, match="position") as caught:
        prepare(EDIT, TOKENIZER, config)
    assert caught.value.param == "segments[0].image"


def test_a_thought_reserves_what_broken_bytes_could_need() -> None:
    request = replace(EDIT, segments=(TextSegment("A cat"),), think=True, decode=DecodeSettings(max_tokens=10))
    job = prepare(request, TOKENIZER, CONFIG).job(CONFIG, deadline_s=0.0)
    assert job.thought_node is not None
    assert job.node_tokens[job.thought_node] == 32
    assert job.decode_tokens == 10


def test_text_past_the_last_rotary_position_is_refused() -> None:
    config = replace(CONFIG, llm=replace(CONFIG.llm, max_positions=12))
    request = replace(EDIT, segments=(TextSegment("A cat"),))
    with pytest.raises(RequestError, match="positions"):
        prepare(replace(request, output=Output.TEXT, decode=DecodeSettings(max_tokens=12)), TOKENIZER, config)
    assert prepare(request, TOKENIZER, config)


def test_a_picture_that_is_no_whole_number_of_tokens_is_refused() -> None:
    config = replace(CONFIG, vae_resize=replace(CONFIG.vae_resize, stride=8))
    with pytest.raises(RequestError, match="positions"):
        prepare(replace(EDIT, segments=(ImageSegment(Image.new("RGB", (120, 72))),)), TOKENIZER, config)


def test_a_request_without_anything_is_refused() -> None:
    with pytest.raises(RequestError):
        prepare(replace(EDIT, segments=()), TOKENIZER, CONFIG)
