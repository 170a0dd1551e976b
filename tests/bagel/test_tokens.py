"""Text streams equal the whole text and take nothing back; what of a decoded run is visible; missing markers."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bagel.errors import ConfigError
from bagel.tokens import SpecialTokens, TextStream, Tokenizer, read_special_tokens, visible_part

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint"
TOKENIZER = Tokenizer(GOLDEN)
BOS, EOS = TOKENIZER.special.bos, TOKENIZER.special.eos
PADDING_ROW = 650  # an id that the model can pick and the tokenizer does not have: it decodes to nothing
FACE = TOKENIZER.encode("\U0001f600")  # four UTF-8 bytes in several tokens


def _pieces_of_markers() -> list[list[int]]:
    """Markers spelt out by ordinary tokens, whole and cut anywhere."""
    spelt = [TOKENIZER.encode(c)[0] for c in "<|im_start|>"], [TOKENIZER.encode(c)[0] for c in "<|im_end|>"]
    return [ids[start:end] for ids in spelt for start in (0, 4) for end in range(start + 1, len(ids) + 1)]


# Any id, also those of padding rows that the tokenizer does not have; markers; broken and whole characters.
RUNS = st.lists(
    st.one_of(
        st.integers(0, 671).map(lambda token: [token]),
        st.integers(0, 255).map(lambda token: [token]),
        st.sampled_from(_pieces_of_markers()),
        st.sampled_from([[BOS], [EOS], [620], FACE[:1], FACE[:-1], FACE, FACE[1:], TOKENIZER.encode("\ufffd")]),
        st.text(max_size=4).map(TOKENIZER.encode),
    ),
    max_size=12,
).map(lambda pieces: [token for piece in pieces for token in piece])


@settings(deadline=None, max_examples=500)
@given(ids=RUNS)
@example(ids=[*FACE[:1], PADDING_ROW, *FACE[1:]])
def test_the_pieces_of_a_stream_joined_are_the_visible_text(ids: list[int]) -> None:
    stream = TextStream(TOKENIZER)
    pieces = [stream.push(token) for token in ids]

    assert "".join(pieces) + stream.finish() == TOKENIZER.visible_text([BOS, *ids])


@settings(deadline=None, max_examples=300)
@given(ids=RUNS, others=RUNS)
def test_what_a_stream_has_sent_stays_true_whatever_comes_next(ids: list[int], others: list[int]) -> None:
    stream = TextStream(TOKENIZER)
    sent = "".join([stream.push(token) for token in ids])

    assert TOKENIZER.visible_text([BOS, *ids]).startswith(sent)
    assert TOKENIZER.visible_text([BOS, *ids, *others]).startswith(sent)


def test_plain_text_is_sent_with_the_token_that_brings_it() -> None:
    stream = TextStream(TOKENIZER)
    ids = TOKENIZER.encode("Hello world, this is plain.")

    assert [stream.push(token) for token in ids] == [TOKENIZER.decode([token]) for token in ids]
    assert stream.finish() == ""


def test_a_character_is_sent_once_its_last_byte_is_there() -> None:
    stream = TextStream(TOKENIZER)

    assert len(FACE) > 1
    assert [stream.push(token) for token in FACE] == [""] * (len(FACE) - 1) + ["\U0001f600"]


def test_a_character_that_never_ends_shows_as_a_replacement() -> None:
    stream = TextStream(TOKENIZER)

    assert [stream.push(token) for token in FACE[:-1]] == [""] * (len(FACE) - 1)
    assert stream.finish() == "\ufffd"


def test_a_marker_spelt_out_by_ordinary_tokens_is_held_back_and_then_cut() -> None:
    stream = TextStream(TOKENIZER)
    spelt = [TOKENIZER.encode(c)[0] for c in "a<|im_end|>b"]

    assert [stream.push(token) for token in spelt] == ["a", *[""] * (len(spelt) - 1)]
    assert stream.finish() == ""


def test_what_only_began_like_a_marker_is_sent_after_all() -> None:
    stream = TextStream(TOKENIZER)
    for character in "<|im":
        assert stream.push(TOKENIZER.encode(character)[0]) == ""

    assert stream.push(TOKENIZER.encode("!")[0]) == "<|im!"
    assert stream.push(TOKENIZER.encode("<")[0]) == ""
    assert stream.finish() == "<"


@pytest.mark.parametrize(
    ("decoded", "visible"),
    [
        ("<|im_start|>Hello", "Hello"),
        ("<|im_start|>Hello<|im_end|>after", "Hello"),
        ("<|im_start|>one<|im_start|>two", "one"),
        ("<|im_start|>one<|im_start|>two<|im_end|>", "one"),
        ("<|im_start|>one<|im_end|>x<|im_start|>two", "one"),
        ("<|im_start|><|im_start|>", ""),
        ("<|im_end|><|im_start|>late", ""),
        ("no marker", "no marker"),
        ("before<|im_start|>after", "after"),
        ("<|im_start|> a<|endoftext|>b\n", " a<|endoftext|>b\n"),
        ("", ""),
    ],
)
def test_a_reader_sees_what_lies_before_the_first_end_and_between_two_starts(decoded: str, visible: str) -> None:
    assert visible_part(decoded) == visible


def test_a_block_is_its_text_between_markers_and_markers_in_a_text_become_their_ids() -> None:
    assert TOKENIZER.encode_block("It's") == [BOS, *TOKENIZER.encode("It's"), EOS]
    assert TOKENIZER.encode_block("") == [BOS, EOS]
    assert TOKENIZER.encode("<|im_start|>") == [BOS]
    assert TOKENIZER.decode([BOS, *TOKENIZER.encode("a"), EOS]) == "<|im_start|>a<|im_end|>"


def test_the_markers_of_the_golden_checkpoint_are_those_of_its_readme() -> None:
    assert read_special_tokens(GOLDEN) == SpecialTokens(bos=621, eos=622, image_start=629, image_end=630)


def test_missing_markers_are_refused_by_name(tmp_path: Path) -> None:
    added = {"5": {"content": "<|im_start|>"}, "6": {"content": "<|vision_end|>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    with pytest.raises(ConfigError, match=r"lacks <\|im_end\|>, <\|vision_start\|>;"):
        read_special_tokens(tmp_path)


def test_markers_may_stand_in_either_tokenizer_file(tmp_path: Path) -> None:
    added = {"5": {"content": "<|im_start|>"}, "6": {"content": "<|im_end|>"}}
    listed = [{"id": 7, "content": "<|vision_start|>"}, {"id": 8, "content": "<|vision_end|>"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": listed}))

    assert read_special_tokens(tmp_path) == SpecialTokens(bos=5, eos=6, image_start=7, image_end=8)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path)):
        Tokenizer(tmp_path)


def test_a_broken_tokenizer_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match=r"tokenizer\.json: cannot be read as JSON"):
        read_special_tokens(tmp_path)
