"""What a Thinker holds for its tasks, and what a process that is Thinker and DiT holds once, by bytes."""

from pathlib import Path

import pytest
import torch

from bagel.config import ModelConfig, load_model_config
from bagel.errors import ConfigError
from bagel.model.names import ae_shapes, ema_shapes
from bagel.model.stages import DitModel, Slot, ThinkerModel, ThinkerParts, WholeModel, weight_bytes
from bagel.model.weights import DummySource, build_stage
from bagel.tasks import TaskKind, read_tasks

OFFICIAL = ModelConfig()
TOY = load_model_config(Path("models/toy"))
MARKERS = (11, 5)
GIB = 1 << 30
GEN_NORM = "language_model.model.norm_moe_gen.weight"
GEN_PARTS = ("time_embedder", "vae2llm", "latent_pos_embed")
EVERY = ",".join(kind.value for kind in TaskKind)
NO_EDITS = "text2text,img2text,text2img"


def thinker_bytes(tasks: str, config: ModelConfig = OFFICIAL) -> int:
    """Of a Thinker in bfloat16 with its VAE in float32, counted without any memory."""
    with torch.device("meta"):
        model = ThinkerModel(config, ThinkerParts.of(read_tasks(tasks))).to(torch.bfloat16)
        for part in model.float32_parts:
            part.to(torch.float32)
    return weight_bytes(model)


def built(make):
    return build_stage(
        make, DummySource(TOY), device=torch.device("cpu"), dtype=torch.float32, progress=lambda done, total: None
    )


@pytest.fixture(scope="module")
def alone() -> dict[str, torch.Tensor]:
    """What a Thinker and a DiT of the toy hold apart."""
    return {**values(built(lambda: ThinkerModel(TOY))), **values(built(lambda: DitModel(TOY, MARKERS)))}


def values(model) -> dict[str, torch.Tensor]:
    return {slot.name: slot.target for slot in model.slots() if isinstance(slot, Slot) and slot.rows is None}


def test_a_thinker_without_edits_holds_15_gib_instead_of_27_at_7b() -> None:
    numbers = {name: torch.Size(shape).numel() for name, shape in ema_shapes(OFFICIAL).items()}
    of_gen = (
        sum(n for name, n in numbers.items() if "moe_gen" in name or name.startswith(GEN_PARTS)) - numbers[GEN_NORM]
    )
    of_dit = sum(numbers[name] for name in (GEN_NORM, "llm2vae.weight", "llm2vae.bias"))
    shapes = {name: shape for name, shape in ae_shapes(OFFICIAL.vae).items() if name.startswith("encoder.")}
    encoder = sum(torch.Size(shape).numel() for shape in shapes.values())
    assert thinker_bytes(EVERY) == 2 * (sum(numbers.values()) - of_dit) + 4 * encoder
    assert thinker_bytes(NO_EDITS) == 2 * (sum(numbers.values()) - of_dit - of_gen)
    assert (round(thinker_bytes(EVERY) / GIB), round(thinker_bytes(NO_EDITS) / GIB)) == (27, 15)


@pytest.mark.parametrize(
    ("tasks", "vit", "gen", "encoder"),
    [
        (EVERY, True, True, True),
        (NO_EDITS, True, False, False),
        ("text2text,text2img", False, False, False),
        ("text2text", False, False, False),
        ("img2img", True, True, True),
        ("img2text", True, False, False),
    ],
)
def test_a_thinker_holds_what_its_tasks_need(tasks: str, vit: bool, gen: bool, encoder: bool) -> None:
    parts = ThinkerParts.of(read_tasks(tasks))
    assert (parts.vit, parts.gen, parts.encoder) == (vit, gen, encoder)
    with torch.device("meta"):
        names = {name.split(".")[0] for name, _ in ThinkerModel(TOY, parts).named_parameters()}
    optional = {"vit": vit, "connector": vit, "vit_pos_embed": vit, "latents": gen, "encoder": encoder}
    assert names == {"embed_tokens", "lm_head", "mot"} | {name for name, held in optional.items() if held}


def test_fewer_tasks_are_fewer_bytes_of_the_toy_too() -> None:
    order = ["text2text", "img2text", NO_EDITS, EVERY]
    sizes = [thinker_bytes(tasks, TOY) for tasks in order]
    assert sizes[0] < sizes[1] == sizes[2] < sizes[3]


def test_what_a_smaller_thinker_holds_is_what_the_whole_one_holds_there(alone: dict[str, torch.Tensor]) -> None:
    small = values(built(lambda: ThinkerModel(TOY, ThinkerParts.of(read_tasks(NO_EDITS)))))
    assert small.keys() < alone.keys()
    assert not [name for name in small if "moe_gen" in name or name.startswith(("encoder", *GEN_PARTS))]
    assert all(torch.equal(value, alone[name]) for name, value in small.items())


@pytest.mark.parametrize("tasks", ["", "text", "text2text,img2video", "text2text,"])
def test_a_task_that_is_none_is_refused_by_name(tasks: str) -> None:
    with pytest.raises(
        ConfigError, match=r"--tasks .* is no task; take some of text2text, img2text, text2img, img2img"
    ):
        read_tasks(tasks)


def test_a_whole_model_stores_no_parameter_twice(alone: dict[str, torch.Tensor]) -> None:
    whole = built(lambda: WholeModel(TOY, MARKERS))
    storages = {parameter.untyped_storage().data_ptr(): parameter.nbytes for parameter in whole.parameters()}

    assert sum(storages.values()) == weight_bytes(whole) == sum(value.nbytes for value in alone.values())
    assert {name: value.shape for name, value in values(whole).items()} == {
        name: value.shape for name, value in alone.items()
    }
    for held in (values(whole.thinker), values(whole.dit)):
        assert {value.untyped_storage().data_ptr() for value in held.values()} <= storages.keys()
        assert all(torch.equal(value, alone[name]) for name, value in held.items())
    assert whole.dit.marker_table.weight is whole.thinker.embed_tokens.weight
    assert torch.equal(whole.dit.markers, built(lambda: DitModel(TOY, MARKERS)).markers)


def test_a_whole_model_at_7b_is_one_checkpoint_and_not_two() -> None:
    with torch.device("meta"):
        whole = WholeModel(OFFICIAL, MARKERS)
        whole.to(torch.bfloat16)
        apart = weight_bytes(ThinkerModel(OFFICIAL).to(torch.bfloat16)) + weight_bytes(
            DitModel(OFFICIAL, MARKERS).to(torch.bfloat16)
        )
    numbers = 14_607_260_128 + 83_819_683  # of both files
    assert weight_bytes(whole) == 2 * numbers
    assert apart - weight_bytes(whole) > 24 * GIB


def test_a_whole_model_without_edits_keeps_the_gen_expert_and_no_encoder() -> None:
    with torch.device("meta"):
        whole = WholeModel(TOY, MARKERS, ThinkerParts.of(read_tasks("text2text,text2img")))
    assert (whole.thinker.parts.vit, whole.thinker.parts.gen, whole.thinker.parts.encoder) == (False, True, False)
    names = {name.split(".")[1] for name, _ in whole.named_parameters()}
    assert {"mot", "latents", "decoder"} <= names
    assert not {"vit", "encoder"} & names
