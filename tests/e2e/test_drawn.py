"""What the default model draws and says, judged by code: not that bytes came back, but what they show."""

import io
from typing import Any

import pytest
from PIL import Image

from tests.e2e.server import Server, picture, read_picture, read_text, text, user
from training.judge.pictures import judge_picture
from training.world.render import render
from training.world.scene import Backdrop, Color, Kind, Scene, Thing

STEPS = {"modalities": ["image"], "num_inference_steps": 16, "seed": 7}


def thing(kind: Kind, color: Color, x: float = 0.5, y: float = 0.5) -> Thing:
    return Thing(kind=kind, color=color, x=x, y=y, size=0.36, seed=1)


def on(color: Color, *things: Thing) -> Scene:
    return Scene(things=things, backdrop=Backdrop(seed=1, color=color))


def drawn(server: Server, **body: Any) -> Image.Image:
    return Image.open(io.BytesIO(read_picture(server.answer(**STEPS, **body))))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("A red circle on a white background", on(Color.WHITE, thing(Kind.CIRCLE, Color.RED))),
        ("A blue star on a yellow background", on(Color.YELLOW, thing(Kind.STAR, Color.BLUE))),
        (
            "A red circle to the left of a blue square on a white background",
            on(Color.WHITE, thing(Kind.CIRCLE, Color.RED, x=0.27), thing(Kind.SQUARE, Color.BLUE, x=0.73)),
        ),
    ],
)
def test_the_picture_shows_the_things_of_its_prompt(default_server: Server, prompt: str, expected: Scene) -> None:
    verdict = judge_picture(drawn(default_server, messages=user(prompt)), expected)
    assert verdict.ok, verdict.reasons


def test_the_judge_rejects_a_picture_of_another_prompt(default_server: Server) -> None:
    image = drawn(default_server, messages=user("A red circle on a white background"))
    assert not judge_picture(image, on(Color.WHITE, thing(Kind.CIRCLE, Color.BLUE))).ok


def test_an_answer_about_a_picture_names_what_is_on_it(default_server: Server) -> None:
    image = render(on(Color.WHITE, thing(Kind.STAR, Color.GREEN)), 256, 256)
    said = read_text(default_server.answer(messages=user(picture(image), text("What color is the star?"))))
    assert "green" in said.lower()


def test_the_capital_of_france_is_known(default_server: Server) -> None:
    answer = default_server.answer(messages=user("What is the capital of France?"))
    assert read_text(answer) == "The capital of France is Paris."
