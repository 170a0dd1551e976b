"""What a picture depends on, and what it does not."""

import io
from typing import Any

from PIL import Image

from tests.e2e.server import Server, picture, read_picture, read_text, scene, text, user

SMALL: dict[str, Any] = {"modalities": ["image"], "height": 128, "width": 192, "num_inference_steps": 4, "seed": 5}


def draw(server: Server, **changes: Any) -> bytes:
    return read_picture(server.answer(**{"messages": user("A cute cat"), **SMALL, **changes}))


def test_the_same_request_gives_the_same_bytes_and_another_seed_another_picture(server: Server) -> None:
    assert draw(server) == draw(server)
    assert draw(server) != draw(server, seed=6)


def test_every_setting_reaches_the_picture(server: Server) -> None:
    base = draw(server)
    for changes in (
        {"num_inference_steps": 5},
        {"cfg_text_scale": 2.0},
        {"cfg_img_scale": 3.0},
        {"cfg_interval": [0.0, 0.8]},
        {"cfg_renorm_type": "channel"},
        {"cfg_renorm_min": 1.0},
        {"timestep_shift": 1.0},
        {"negative_prompt": "blurry, low quality"},
        {"think": True, "max_think_tokens": 4},
        {"messages": user("A cute dog")},
    ):
        assert draw(server, **changes) != base, changes


def test_a_picture_does_not_depend_on_what_was_served_before_it(server: Server) -> None:
    edit = {**SMALL, "messages": user(picture(scene(120, 90)), text("Make it red"))}
    alone = draw(server), draw(server, **edit)
    assert (draw(server), draw(server, **edit)) == alone
    assert (draw(server, **edit), draw(server)) == alone[::-1]
    assert draw(server, **edit) == alone[1]


def test_an_edit_without_a_size_has_that_of_the_resized_input(server: Server) -> None:
    body = {"modalities": ["image"], "num_inference_steps": 2, "messages": user(picture(scene(60, 40)), text("Redder"))}
    answer = server.answer(**body)
    image = Image.open(io.BytesIO(read_picture(answer)))
    # The default model's rule scales the short side to 128.
    assert image.size == (192, 128)
    assert answer["bagel"]["size"] == {"height": 128, "width": 192}


def test_a_picture_without_a_size_has_the_default_that_the_model_tells(server: Server) -> None:
    side = server.http.get("/v1/models").json()["data"][0]["limits"]["default_side_px"]
    answer = server.answer(modalities=["image"], num_inference_steps=2, messages=user("A cute cat"))
    assert Image.open(io.BytesIO(read_picture(answer))).size == (side, side) == (256, 256)


def test_a_seed_is_chosen_and_told_when_none_is_given(server: Server) -> None:
    body = {**SMALL, "messages": user("A cute cat")}
    del body["seed"]
    first = server.answer(**body)
    again = server.answer(**body, seed=first["bagel"]["seed"])
    assert read_picture(first) == read_picture(again)


def test_other_file_formats_are_what_they_say(server: Server) -> None:
    for name in ("jpeg", "webp"):
        answer = server.answer(**SMALL, messages=user("A cute cat"), output_format=name)
        assert Image.open(io.BytesIO(read_picture(answer))).format == name.upper()
        assert answer["choices"][0]["message"]["content"][0]["image_url"]["url"].startswith(f"data:image/{name};")


def test_with_think_the_first_choice_is_the_thought_and_the_second_the_picture(server: Server) -> None:
    answer = server.answer(**SMALL, messages=user("A cute cat"), think=True, max_think_tokens=6)
    assert [type(choice["message"]["content"]) for choice in answer["choices"]] == [str, list]
    assert answer["usage"]["completion_tokens"] == 6
    assert read_picture(answer)
    assert answer["choices"][0]["finish_reason"] == "length"


def test_with_think_a_text_answer_begins_after_the_system_prompt(server: Server) -> None:
    plain = server.answer(messages=user("Two and two?"), max_tokens=8)
    thinking = server.answer(messages=user("Two and two?"), max_tokens=8, think=True)
    assert thinking["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"] + 20
    assert read_text(thinking) != read_text(plain)


def test_one_text_and_pictures_mean_the_same_in_any_order(server: Server) -> None:
    parts = picture(scene(120, 90)), text("Make it red")
    assert draw(server, messages=user(*parts)) == draw(server, messages=user(*parts[::-1]))


def test_several_pictures_and_texts_keep_their_order(server: Server) -> None:
    first, second = picture(scene(120, 90)), picture(scene(90, 120))
    one = draw(server, messages=user(first, text("This one."), second, text("And this.")))
    other = draw(server, messages=user(second, text("This one."), first, text("And this.")))
    assert one != other


def test_a_raw_prompt_is_taken_token_by_token(server: Server) -> None:
    wrapped = server.answer(messages=user("Hello"), max_tokens=4)
    raw = server.answer(messages=user("<|im_start|>Hello<|im_end|>"), max_tokens=4, raw_prompt=True)
    bare = server.answer(messages=user("Hello"), max_tokens=4, raw_prompt=True)
    assert raw["usage"]["prompt_tokens"] == wrapped["usage"]["prompt_tokens"]
    assert read_text(raw) == read_text(wrapped)
    assert bare["usage"]["prompt_tokens"] == wrapped["usage"]["prompt_tokens"] - 2
