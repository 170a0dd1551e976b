"""What a client can ask about a server, and conversations that go on with what it made."""

from typing import Any

from tests.e2e.server import Server, picture, read_picture, text, user

DRAW: dict[str, Any] = {"modalities": ["image"], "height": 128, "width": 128, "num_inference_steps": 5, "seed": 3}


def test_a_model_is_found_by_its_name_or_an_alias_and_says_its_limits_and_settings(server: Server) -> None:
    (listed,) = server.http.get("/v1/models").json()["data"]
    for name in (listed["id"], "bagel", "default"):
        assert server.http.get(f"/v1/models/{name}").json() == listed
    assert listed["limits"]["max_side_px"] == 768
    settings = listed["settings"]["/v1/images/generations"]
    assert {"cfg_text_scale", "guidance_scale", "think", "num_inference_steps"} <= settings.keys()
    assert "prompt" not in settings
    missing = server.http.get("/v1/models/some/other")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"


def test_a_server_that_was_ready_once_has_started(server: Server) -> None:
    assert server.http.get("/startupz").json() == {"started": True, "reasons": []}


def test_a_picture_stands_in_the_content_or_beside_it(server: Server) -> None:
    listed = server.answer(**DRAW, messages=user("A cat"))
    beside = server.answer(**DRAW, messages=user("A cat"), image_output="images")["choices"][0]["message"]
    assert beside["content"] == ""
    (image,) = beside["images"]
    assert image["image_url"] == listed["choices"][0]["message"]["content"][0]["image_url"]


def test_a_picture_that_was_made_is_understood_and_edited_when_it_comes_back(server: Server) -> None:
    made = read_picture(server.answer(**DRAW, messages=user("A cat")))
    history = [*user("A cat"), {"role": "assistant", "content": [picture(made)]}]
    asked = server.answer(messages=[*history, *user("What is it?")], max_tokens=4)
    assert asked["bagel"]["work"]["vit_passes"] == 1
    edited = server.answer(
        modalities=["image"], messages=[*history, *user("Now make it blue")], num_inference_steps=4, seed=3
    )
    assert edited["bagel"]["task"] == "img2img"
    assert edited["bagel"]["work"]["vae_passes"] == 1
    # Texts and pictures in their order: the same blocks as one message with all of them.
    together = server.answer(
        modalities=["image"], messages=user(text("A cat"), picture(made), text("Now make it blue")),
        num_inference_steps=4, seed=3,
    )  # fmt: skip
    assert read_picture(edited) == read_picture(together)
