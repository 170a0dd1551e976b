"""The language of the drawn world says what is there, and training never sees the wordings kept for evaluation."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from training.judge.words import answer_is_right, backdrop_named, caption_is_right, things_named, thought_names
from training.language import (
    backdrops,
    caption_templates,
    descriptions,
    instruction_templates,
    landscapes,
    place_question_templates,
    plain,
    plain_templates,
    question_templates,
)
from training.language.captions import Detail, caption
from training.language.descriptions import describe
from training.language.facts import CAPITALS, COLORS_OF_THINGS
from training.language.instructions import instruction
from training.language.questions import ask, possible
from training.language.split import Split, choose, of_split
from training.language.surface import as_prompt
from training.language.thoughts import answer_with_thought, edit_thought, image_thought
from training.world.edits import EditKind
from training.world.sample import Layout, Pool, sample_scene
from training.world.sample_edits import sample_edit
from training.world.scene import Backdrop, Color, Kind, Scene, Thing

LONGEST_PROMPT, LONGEST_ANSWER = 170, 230  # characters


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = Random(0)
    return [sample_scene(rng, rng.choice(tuple(Layout)), Pool.TRAIN) for _ in range(600)]


def template_lists() -> list[tuple[str, ...]]:
    modules = (
        *(backdrops, landscapes, caption_templates, descriptions),
        *(instruction_templates, question_templates, place_question_templates, plain_templates),
    )
    found = []
    for module in modules:
        for value in vars(module).values():
            lists = value.values() if isinstance(value, dict) else (value,)
            found += [v for v in lists if isinstance(v, tuple) and v and all(type(x) is str for x in v)]
    return found


def test_training_never_draws_a_template_kept_for_evaluation() -> None:
    rng = Random(1)
    lists = template_lists()
    assert len(lists) > 50
    for templates in (t for t in lists if len(t) >= 4):
        seen = {choose(rng, templates, Split.TRAIN) for _ in range(10 * len(templates))}
        kept = set(of_split(templates, Split.HELD_OUT))
        assert kept
        assert not seen & kept, templates


def test_no_prompt_of_training_is_a_prompt_of_evaluation(scenes: list[Scene]) -> None:
    rng = Random(10)
    edits = [sample_edit(rng, kind, Pool.TRAIN) for kind in EditKind for _ in range(40)]
    said: dict[Split, set[str]] = {}
    for split in Split:
        texts = [caption(scene, rng, split, detail) for scene in scenes for detail in Detail]
        texts += [make(scene, rng, split)[0] for scene in scenes for make in (describe, ask)]
        texts += [instruction(edit, rng, split) for edit in edits for _ in range(4)]
        texts += [plain.plain(rng, split)[0] for _ in range(1000)]
        said[split] = {text.lower().rstrip(".?!").replace("colour", "color") for text in texts}
    assert not said[Split.TRAIN] & said[Split.HELD_OUT]


def test_evaluation_uses_the_words_of_training(scenes: list[Scene]) -> None:
    rng = Random(11)
    edits = [sample_edit(rng, kind, Pool.TRAIN) for kind in EditKind for _ in range(80)]
    details = tuple(Detail)
    makers: dict[str, Callable[[Split], str]] = {
        "caption": lambda split: caption(rng.choice(scenes), rng, split, rng.choice(details)),
        "describe": lambda split: describe(rng.choice(scenes), rng, split)[0],
        "ask": lambda split: ask(rng.choice(scenes), rng, split)[0],
        "instruction": lambda split: instruction(rng.choice(edits), rng, split),
        "plain": lambda split: plain.plain(rng, split)[0],
    }
    for name, make in makers.items():
        known, asked = (
            {word for _ in range(number) for word in re.findall(r"[a-z]+", make(split).lower())}
            for split, number in ((Split.TRAIN, 6000), (Split.HELD_OUT, 3000))
        )
        assert len(asked - known) <= 0.02 * len(asked), (name, asked - known)


def test_slips_say_the_same_and_are_for_training_only() -> None:
    rng = Random(12)
    texts = {split: [as_prompt("a cat on the beach", rng, split) for _ in range(3000)] for split in Split}
    assert {text.rstrip(".").lower() for text in texts[Split.HELD_OUT]} == {"a cat on the beach"}
    slipped = sum(text.rstrip(".").lower() != "a cat on the beach" for text in texts[Split.TRAIN])
    assert 0.04 < slipped / 3000 < 0.1


def test_descriptions_and_thoughts_name_all_that_is_there_and_nothing_else(scenes: list[Scene]) -> None:
    rng = Random(2)
    for scene in scenes:
        answer = describe(scene, rng, Split.TRAIN)[1]
        assert caption_is_right(answer, scene), answer
        assert thought_names(image_thought(scene), scene), image_thought(scene)


def test_a_description_is_wrong_for_another_scene(scenes: list[Scene]) -> None:
    rng = Random(3)
    wrong = sum(not caption_is_right(describe(scene, rng, Split.TRAIN)[1], other) for scene, other in pairwise(scenes))
    assert wrong > 0.98 * (len(scenes) - 1)


@pytest.mark.parametrize("split", list(Split))
def test_full_and_long_captions_name_every_thing_with_its_colour(scenes: list[Scene], split: Split) -> None:
    rng = Random(4)
    for scene in scenes:
        for detail in (Detail.FULL, Detail.LONG):
            text = " ".join(caption(scene, rng, split, detail).split())
            assert caption_is_right(text, scene), text
            assert len(text) <= LONGEST_PROMPT


def test_short_captions_name_every_kind_and_how_many(scenes: list[Scene]) -> None:
    rng = Random(5)
    for scene in scenes:
        text = " ".join(caption(scene, rng, Split.TRAIN, Detail.SHORT).split())
        told = Counter[Kind]()
        for named in things_named(text):
            told[named.kind] += named.count
        assert told == Counter(thing.kind for thing in scene.things), text


def test_every_kind_of_question_has_a_short_answer_and_a_thought(scenes: list[Scene]) -> None:
    rng = Random(6)
    for scene in scenes[:200]:
        for kind in possible(scene):
            question, answer = ask(scene, rng, Split.TRAIN, kind)
            whole = answer_with_thought(question, answer)
            assert whole.startswith("<think>The question asks")
            assert whole.endswith(f"</think>{answer}")
            assert "short description" not in whole, answer
            assert len(whole) <= LONGEST_ANSWER, whole


def test_yes_and_no_are_asked_about_equally_often(scenes: list[Scene]) -> None:
    rng = Random(7)
    for kind in (question_templates.QuestionKind.EXISTS, question_templates.QuestionKind.RELATION):
        answers = [ask(scene, rng, Split.TRAIN, kind)[1] for scene in scenes if kind in possible(scene)]
        assert 0.4 < sum(answer.startswith("Yes") for answer in answers) / len(answers) < 0.6


@pytest.mark.parametrize("kind", list(EditKind))
def test_every_edit_can_be_told_and_thought(kind: EditKind) -> None:
    rng = Random(8)
    for _ in range(100):
        edit = sample_edit(rng, kind, Pool.TRAIN)
        for split in Split:
            text = instruction(edit, rng, split)
            assert "{" not in text
            assert len(text) <= LONGEST_PROMPT
        assert edit_thought(edit).endswith("Everything else stays the same.</think>")


def test_every_fact_can_occur_in_training() -> None:
    rng = Random(9)
    answers = {plain.plain(rng, Split.TRAIN)[1] for _ in range(20_000)}
    assert {f"The capital of {country} is {city}." for country, city in CAPITALS.items()} <= answers
    assert all(any(a.lower().startswith(f"{thing} is") for a in answers) for thing in COLORS_OF_THINGS)
    assert {
        "3 + 4 = 7.",
        "10 + 10 = 20.",
        "0 - 0 = 0.",
        plain.IDENTITY,
        plain.ABILITY,
        *plain_templates.GREETINGS,
    } <= answers


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A red circle to the left of a blue square.", True),
        ("a crimson ball and one navy box on a white background", True),
        ("A red circle to the left of a blue square on a green background.", False),
        ("A red circle.", False),
        ("Two red circles and a blue square.", False),
        ("A circle and a square.", False),
        ("A red circle, a blue square and a star.", False),
    ],
)
def test_a_caption_is_judged_by_things_colours_numbers_and_backdrop(text: str, right: bool) -> None:
    circle = Thing(kind=Kind.CIRCLE, color=Color.RED, x=0.3, y=0.5, size=0.3, seed=0)
    square = Thing(kind=Kind.SQUARE, color=Color.BLUE, x=0.7, y=0.5, size=0.3, seed=0)
    scene = Scene(things=(circle, square), backdrop=Backdrop(seed=0, color=Color.WHITE))
    assert caption_is_right(text, scene) is right


def test_scenery_is_no_thing() -> None:
    assert not things_named("a night sky full of stars")
    assert backdrop_named("A night sky full of stars.") == "night sky"


def test_answers_are_compared_by_their_words() -> None:
    assert answer_is_right("there are 3 stars", "There are three stars.")
    assert answer_is_right("<think>It is gray.</think>The cat is grey", "The cat is gray.")
    assert not answer_is_right("The circle is left of the square", "The square is left of the circle.")
    assert not answer_is_right("3 + 4 = 8.", "3 + 4 = 7.")
