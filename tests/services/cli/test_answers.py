"""Streams of events, however their bytes are cut, as what they say."""

import base64
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.client.answers import Drawn, Finish, Note, Piece, Preview, Step, happenings
from services.cli.client.sse import Comment, Event, read_events
from services.cli.errors import CommandError

STREAM = (
    ": queued at place 2\n\n"
    ": picture 2: step 3 of 9\r\n\r\n"
    "event: image_edit.partial_image\n"
    'data: {"type": "image_edit.partial_image",\n'
    'data: "b64_json": "YWI=", "partial_image_index": 1, "image_index": 2}\n\n'
    "data:no space \u2028 one line\u0085\n\n"
    "id: 7\n\n"
    "data: cut off"
).encode()


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_wherever_their_bytes_are_cut(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in itertools.pairwise(ends)]
    assert list(read_events(pieces)) == [
        Comment("queued at place 2"),
        Comment("picture 2: step 3 of 9"),
        Event(
            "image_edit.partial_image",
            '{"type": "image_edit.partial_image",\n"b64_json": "YWI=", "partial_image_index": 1, "image_index": 2}',
        ),
        Event("", "no space \u2028 one line\u0085"),
    ]


def chunk(delta: dict[str, object], reason: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return Event("", json.dumps({"object": "chat.completion.chunk", "choices": [choice]}))


def test_what_a_stream_says_is_typed_and_ends_with_done() -> None:
    url = "data:image/png;base64," + base64.b64encode(b"png").decode()
    events = [
        Comment("step 1 of 4"),
        Comment("picture 3: step 2 of 4"),
        Comment("queued"),
        *list(read_events([STREAM]))[2:3],
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hi"}),
        chunk({}, "stop"),
        chunk({"content": "", "images": [{"image_url": {"url": url}}]}, "stop"),
        Event("", '{"type": "of a later server"}'),
        Event("", '{"type": "image_generation.completed", "b64_json": "YWI=", "image_index": 1}'),
        Event("", "[DONE]"),
        Comment("never read"),
    ]
    assert list(happenings(events)) == [
        Step(0, 1, 4), Step(2, 2, 4), Note("queued"), Preview(2, 1, b"ab"), Piece("Hi"), Finish("stop"),
        Drawn(0, b"png"), Drawn(1, b"ab"),
    ]  # fmt: skip


def test_an_error_within_a_stream_keeps_the_servers_words() -> None:
    said = {"error": {"message": "the deadline passed", "type": "timeout_error", "code": "deadline_exceeded"}}
    with pytest.raises(CommandError, match="the deadline passed") as caught:
        list(happenings([Event("", json.dumps(said))]))
    assert (caught.value.exit_status, caught.value.code) == (1, "deadline_exceeded")


@pytest.mark.parametrize(
    "data",
    [
        "{", "[]", '{"type": "x.completed"}', '{"type": "x.completed", "b64_json": "?"}',
        '{"object": "chat.completion.chunk", "choices": [{}]}',
        '{"object": "chat.completion.chunk", "choices": [{"delta": {"images": [{"image_url": {"url": "http://x"}}]}, '
        '"finish_reason": "stop"}]}',
    ],
)  # fmt: skip
def test_an_event_that_makes_no_sense_is_one_sentence(data: str) -> None:
    with pytest.raises(CommandError, match="cannot be read") as caught:
        list(happenings([Event("", data)]))
    assert caught.value.exit_status == 69
