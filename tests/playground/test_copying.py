"""What the copy buttons give runs as it is, and does what the page did."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.server import picture, read_text, scene, text, user
from tests.playground.driver import QUICK, Playground, opened, png

# Everything that a shell, JSON or curl's forms look for.
ODD = """What's "this"; a $HOME, a `date`, 100 %, C:\\new, <a&b>?\nJSON"""
ODD_NAME = """it's $a "b",c;d.png"""


def execute(language: str, code: str, folder: Path) -> str:
    command = {"curl": ["bash", "-c", code], "Python": [sys.executable, "-c", code]}[language]
    key = {"BAGEL_API_KEY": "secret-of-a-test"}
    done = subprocess.run(command, cwd=folder, env=os.environ | key, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_a_copied_drawing_and_edit_give_the_pictures_of_the_page(
    playground: Playground, tmp_path: Path, language: str
) -> None:
    playground.enter("Text to picture", f"A red circle. {ODD}", **QUICK)
    result = playground.run()
    drawn, _ = playground.saved(result)
    code = playground.copied(result.get_by_role("button", name=f"Copy as {language}"))
    execute(language, code, tmp_path)
    assert png(opened(tmp_path / "picture.png")) == png(drawn)

    drawn.save(tmp_path / ODD_NAME)
    playground.drop(drawn, ODD_NAME)
    playground.enter("Edit a picture", f"Make it blue. {ODD}", **QUICK)
    edited, _ = playground.saved(playground.run())
    code = playground.copied(playground.page.locator("#form").get_by_role("button", name=f"Copy as {language}"))
    execute(language, code, tmp_path)
    assert png(opened(tmp_path / "picture.png")) == png(edited) != png(drawn)


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_a_copied_question_asks_word_for_word(playground: Playground, tmp_path: Path, language: str) -> None:
    image = scene(96, 64)
    image.save(tmp_path / ODD_NAME)
    playground.drop(image, ODD_NAME)
    playground.enter("Ask about a picture", ODD, max_tokens="12", seed="1", temperature="1")
    code = playground.copied(playground.page.get_by_role("button", name=f"Copy as {language}"))
    answer = playground.server.answer(messages=user(picture(image), text(ODD)), max_tokens=12, seed=1, temperature=1.0)
    assert read_text(answer) in execute(language, code, tmp_path)


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_several_pictures_and_one_after_a_thought_are_saved_too(
    playground: Playground, tmp_path: Path, language: str
) -> None:
    form = playground.page.locator("#form").get_by_role("button", name=f"Copy as {language}")
    playground.enter("Text to picture", "A red circle", **QUICK, n="2", output_format="jpeg")
    execute(language, playground.copied(form), tmp_path)
    assert {path.name for path in tmp_path.glob("*.jpeg")} == {"picture-0.jpeg", "picture-1.jpeg"}
    playground.page.get_by_label("Think first").check()
    execute(language, playground.copied(form), tmp_path)
    assert opened(tmp_path / "picture.jpeg").size == (64, 64)


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_a_key_stays_in_the_tab_and_out_of_what_is_copied(
    playground: Playground, tmp_path: Path, language: str
) -> None:
    page = playground.page
    page.locator("#access > summary").click()
    page.locator("#key").fill("secret-of-a-test")
    page.get_by_role("button", name="Use it").click()
    playground.enter("Text to text", "What is the capital of France?")
    code = playground.copied(page.locator("#form").get_by_role("button", name=f"Copy as {language}"))
    assert "secret-of-a-test" not in code
    assert "BAGEL_API_KEY" in code
    assert "Paris" in execute(language, code, tmp_path)
    playground.run()
    sent = [request for request in playground.requests if request.method == "POST"][-1]
    assert sent.headers["authorization"] == "Bearer secret-of-a-test"
    stored = page.evaluate("[JSON.stringify(localStorage), document.cookie, JSON.stringify(sessionStorage)]")
    assert ["secret-of-a-test" in where for where in stored] == [False, False, True]


def test_where_the_clipboard_is_closed_the_text_is_shown(playground: Playground) -> None:
    page = playground.page
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('closed')); }")
    playground.enter("Text to picture", "A red circle", **QUICK)
    page.locator("#form").get_by_role("button", name="Copy as curl").click()
    assert page.locator("#copy-text").input_value().startswith("curl ")
    page.get_by_role("button", name="Close").click()
    assert not page.locator("#copy").is_visible()
