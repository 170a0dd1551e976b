"""`bagel chat` and `bagel describe` against a running server."""

import json
from pathlib import Path

from tests.e2e.command import bagel, on_terminal
from tests.e2e.server import Server, picture, read_text, scene, text, user
from tests.e2e.test_cli_pictures import opened, url_of
from tests.e2e.test_drawn import on, thing
from tests.ports import free_port
from training.world.render import render
from training.world.scene import Color, Kind

CAPITAL = "What is the capital of France?"
PARIS = "The capital of France is Paris."


def test_an_argument_or_stdin_is_answered_once(default_server: Server) -> None:
    for arguments, said in (((CAPITAL,), ""), ((), CAPITAL + "\n"), (("-",), CAPITAL)):
        done = bagel("chat", *arguments, url=url_of(default_server), said=said)
        assert (done.returncode, done.stdout) == (0, PARIS + "\n"), done.stderr
        assert done.stderr == ""


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(default_server: Server) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    proxies = {"HTTP_PROXY": nobody, "http_proxy": nobody, "ALL_PROXY": nobody}
    done = bagel("chat", CAPITAL, "--url", url_of(default_server) + "/v1/", **proxies)
    assert (done.returncode, done.stdout) == (0, PARIS + "\n"), done.stderr


def test_a_picture_is_described_or_asked_about(default_server: Server, tmp_path: Path) -> None:
    render(on(Color.WHITE, thing(Kind.STAR, Color.GREEN)), 256, 256).save(tmp_path / "star.png")
    described = bagel("describe", "star.png", url=url_of(default_server), cwd=tmp_path)
    asked = bagel("describe", "star.png", "What color is the star?", url=url_of(default_server), cwd=tmp_path)
    shown = bagel("chat", "What color is the star?", "-p", "star.png", url=url_of(default_server), cwd=tmp_path)
    assert "star" in described.stdout
    assert "green" in asked.stdout.lower()
    assert shown.stdout == asked.stdout


def test_settings_arrive_and_json_tells_the_servers_figures(server: Server, tmp_path: Path) -> None:
    scene(90, 60).save(tmp_path / "in.png")
    settings = ("--max-tokens", "12", "--temperature", "1", "--top-p", "0.9", "--seed", "4")
    arguments = ("describe", "in.png", "What is it?", *settings)
    told = json.loads(bagel(*arguments, "--json", url=url_of(server), cwd=tmp_path).stdout)
    answer = server.answer(
        messages=user(picture(scene(90, 60)), text("What is it?")), max_tokens=12, temperature=1.0, top_p=0.9, seed=4
    )
    assert told["text"] == read_text(answer)
    assert told["usage"] == answer["usage"]
    assert (told["finish_reason"], told["bagel"]["task"]) == ("length", "img2text")
    written = bagel(*arguments, url=url_of(server), cwd=tmp_path)
    assert written.stdout.removesuffix("\n") == read_text(answer).removesuffix("\n")
    assert "--max-tokens takes more" in written.stderr


def test_a_conversation_keeps_what_was_said_and_drawn(default_server: Server, tmp_path: Path) -> None:
    with on_terminal("chat", url=url_of(default_server), cwd=tmp_path) as terminal:
        terminal.wait("> ")
        terminal.send(f"{CAPITAL}\n")
        terminal.wait(PARIS)
        terminal.wait("> ")
        terminal.send("And of Spain?\n")
        terminal.wait("And of Spain?\r\n")
        terminal.wait("\r\n> ")
        answered = terminal.text.rsplit("And of Spain?\r\n", 1)[1].split("\r\n")[0]
        terminal.send("/nonsense\n")
        terminal.wait("/nonsense: no such command")
        terminal.send("/new\n/draw A red circle on a white background\n")
        terminal.wait(".png: 256 x 256, seed ")
        terminal.wait("> ")
        terminal.send("What shape is it?\n")
        terminal.wait("What shape is it?\r\n")
        terminal.wait("\r\n> ")
        about_drawn = terminal.text.rsplit("What shape is it?\r\n", 1)[1].split("\r\n")[0]
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    said = [{"role": "user", "content": CAPITAL}, {"role": "assistant", "content": PARIS}]
    assert answered == read_text(default_server.answer(messages=[*said, *user("And of Spain?")]))
    (drawn,) = tmp_path.glob("bagel-*.png")
    assert opened(drawn).size == (256, 256)
    said = [
        *user("A red circle on a white background"),
        {"role": "assistant", "content": [picture(drawn.read_bytes())]},
        *user("What shape is it?"),
    ]
    assert about_drawn == read_text(default_server.answer(messages=said))


def test_a_conversation_shows_a_picture_to_the_model(default_server: Server, tmp_path: Path) -> None:
    render(on(Color.WHITE, thing(Kind.STAR, Color.GREEN)), 256, 256).save(tmp_path / "my star.png")
    with on_terminal("chat", url=url_of(default_server), cwd=tmp_path) as terminal:
        terminal.wait("> ")
        terminal.send("/picture nothing.png\n")
        terminal.wait("nothing.png: cannot be read")
        terminal.send("/picture 'my star.png'\n")
        terminal.wait("1 with your next line")
        terminal.send("What color is the star?\n")
        terminal.wait("What color is the star?\r\n")
        terminal.wait("\r\n> ")
        assert "green" in terminal.text.rsplit("What color is the star?\r\n", 1)[1].lower()
        terminal.send("/quit\n")
        assert terminal.wait_exit() == 0


def test_what_cannot_be_said_is_one_sentence(server: Server) -> None:
    nothing = bagel("chat", url=url_of(server), said=" \n")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "nothing to say" in nothing.stderr
    long = bagel("chat", "-", url=url_of(server), said="word " * 40_000)
    assert long.returncode == 1
    assert "send a shorter text" in long.stderr
    assert "Traceback" not in long.stderr
