"""Messages -> segments: every documented form of a prompt, markers never doubled, pictures where they belong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bagel.errors import RequestError
from services.gateway.prompts import Picture, Segment, Text, message_segments, negative_text, unwrap

PAD = "<|image_pad|>"
PARAM = "messages[0].content"


def _segments(*parts: str | Picture, raw: bool = False) -> list[Segment]:
    return message_segments(parts, raw=raw, param=PARAM)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["<|im_start|>A beautiful sunset over mountains<|im_end|>"], [Text("A beautiful sunset over mountains")]),
        (["<|im_start|>Make the cat stand up<|im_end|>", Picture(0)], [Picture(0), Text("Make the cat stand up")]),
        (
            [
                "<|im_start|>user\n<|image_pad|>\nDescribe this image in detail<|im_end|>\n<|im_start|>assistant\n",
                Picture(0),
            ],
            [Picture(0), Text("Describe this image in detail")],
        ),
        (
            ["<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"],
            [Text("What is the capital of France?")],
        ),
    ],
    ids=["text2img", "img2img", "img2text", "text2text"],
)
def test_the_documented_prompts_become_what_the_model_was_trained_on(
    parts: list[str | Picture], expected: list[Segment]
) -> None:
    assert _segments(*parts) == expected


@pytest.mark.parametrize("prompt", ["A cute cat", "<|im_start|>A cute cat<|im_end|>"])
def test_a_prompt_means_the_same_with_and_without_markers(prompt: str) -> None:
    assert _segments(prompt) == [Text("A cute cat")]


@pytest.mark.parametrize(
    "text", ["one\ntwo", "  indented\n\n\nfar below  ", "\nframed in lines\n", "user\nis my name", "a < b | c > d"]
)
def test_plain_text_is_taken_as_it_is(text: str) -> None:
    assert _segments(text) == [Text(text)]


def test_lines_within_a_marked_text_are_kept() -> None:
    assert _segments("<|im_start|>user\nfirst\n\nsecond\n<|im_end|>") == [Text("first\n\nsecond\n")]


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_role_names_are_dropped_where_a_template_put_them_only(role: str) -> None:
    assert unwrap(f"<|im_start|>{role}\nHello {role}\n{role}\nagain<|im_end|>") == [f"Hello {role}\n{role}\nagain"]
    assert unwrap(f"<|im_start|>{role}<|im_end|>") == [role]
    assert unwrap(f"{role}\nHello") == [f"{role}\nHello"]


def test_a_whole_dialogue_in_one_prompt_becomes_its_texts_in_order() -> None:
    prompt = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"
    )
    assert _segments(prompt) == [Text("Be brief."), Text("Hi"), Text("Hello"), Text("Bye")]


@pytest.mark.parametrize("text", ["", "  ", "\n", "<|im_start|><|im_end|>", "<|im_start|>user\n<|im_end|>\n"])
def test_a_text_with_nothing_in_it_is_no_segment(text: str) -> None:
    assert _segments(text) == []


@given(st.lists(st.sampled_from(["<|im_start|>", "<|im_end|>", "user\n", "assistant\n", "cat", " ", "\n", PAD])))
def test_no_marker_is_ever_left_in_a_text_to_be_doubled(pieces: list[str]) -> None:
    pictures = [Picture(index) for index in range(pieces.count(PAD))]
    segments = _segments("".join(pieces), *pictures)

    texts = [segment.text for segment in segments if isinstance(segment, Text)]
    assert all("<|im_start|>" not in text and "<|im_end|>" not in text and PAD not in text for text in texts)
    assert all(text.strip() for text in texts)
    assert [segment for segment in segments if isinstance(segment, Picture)] == pictures
    assert "".join(texts).count("cat") == pieces.count("cat")


def test_several_texts_and_pictures_keep_their_order() -> None:
    parts = ["before", Picture(0), "between", Picture(1)]

    assert _segments(*parts) == [Text("before"), Picture(0), Text("between"), Picture(1)]


def test_one_text_with_pictures_comes_after_them_in_the_pictures_order() -> None:
    assert _segments(Picture(0), "describe", Picture(1)) == [Picture(0), Picture(1), Text("describe")]


def test_pictures_stand_where_the_prompt_has_their_places() -> None:
    assert _segments(f"first {PAD} then {PAD}.", Picture(0), Picture(1)) == [
        Text("first "), Picture(0), Text(" then "), Picture(1), Text("."),
    ]  # fmt: skip


def test_places_may_be_spread_over_several_texts() -> None:
    assert _segments(f"a{PAD}", Picture(0), f"{PAD}b", Picture(1)) == [Text("a"), Picture(0), Picture(1), Text("b")]


def test_what_other_templates_put_around_a_place_goes_with_it() -> None:
    prompt = f"<|im_start|>user\n<|vision_start|>{PAD}<|vision_end|>Describe it<|im_end|>"

    assert _segments(prompt, Picture(0)) == [Picture(0), Text("Describe it")]


def test_pictures_without_a_place_come_first() -> None:
    assert _segments(f"look {PAD} there", Picture(0), Picture(1), Picture(2)) == [
        Picture(0), Picture(1), Text("look "), Picture(2), Text(" there"),
    ]  # fmt: skip


def test_a_place_after_the_only_text_still_puts_the_picture_first() -> None:
    assert _segments(f"look {PAD}", Picture(0)) == [Picture(0), Text("look ")]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("pictures", [0, 1])
def test_more_places_than_pictures_are_refused(pictures: int, raw: bool) -> None:
    parts = [f"{PAD} and {PAD}", *[Picture(index) for index in range(pictures)]]
    with pytest.raises(RequestError, match=f"2 times .* holds {pictures} pictures") as refused:
        _segments(*parts, raw=raw)
    assert refused.value.param == PARAM


@pytest.mark.parametrize("text", ["<|im_start|>user\nHi<|im_end|>", " ", "plain", "<|vision_start|>"])
def test_a_raw_prompt_is_taken_as_it_is_with_all_its_markers(text: str) -> None:
    assert _segments(text, raw=True) == [Text(text, raw=True)]


def test_a_raw_prompt_keeps_the_order_of_its_parts() -> None:
    assert _segments("a", Picture(0), raw=True) == [Text("a", raw=True), Picture(0)]


def test_a_raw_prompt_may_have_places_for_pictures() -> None:
    assert _segments(f"<|im_start|>{PAD}{PAD}\nwhat?", Picture(0), Picture(1), raw=True) == [
        Text("<|im_start|>", raw=True), Picture(0), Picture(1), Text("\nwhat?", raw=True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("blurry, low quality", "blurry, low quality"),
        ("<|im_start|>blurry<|im_end|>", "blurry"),
        ("<|im_start|>user\nblurry<|im_end|>\n<|im_start|>assistant\n", "blurry"),
        ("<|im_start|>blurry<|im_end|><|im_start|>dark<|im_end|>", "blurry dark"),
        ("<|im_start|><|im_end|>", None),
        ("  ", None),
        ("", None),
    ],
)
def test_a_negative_prompt_loses_its_markers_and_may_be_nothing(prompt: str, text: str | None) -> None:
    assert negative_text(prompt) == text
