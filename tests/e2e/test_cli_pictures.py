"""`bagel generate` and `bagel edit` against a running server."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.command import bagel, on_terminal
from tests.e2e.server import Server, picture, read_picture, scene, text, user
from tests.e2e.test_drawn import on, thing
from tests.ports import free_port
from training.judge.pictures import judge_picture
from training.world.scene import Color, Kind

QUICK = ("--steps", "4", "--height", "128", "--width", "192", "--seed", "5")


def url_of(server: Server) -> str:
    return str(server.http.base_url).rstrip("/")


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
    return image


def test_a_picture_of_the_prompt_is_drawn_and_saved(default_server: Server, tmp_path: Path) -> None:
    arguments = ("A red circle on a white background", "-o", "out.png", "--steps", "16", "--seed", "7")
    done = bagel("generate", *arguments, url=url_of(default_server), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"out.png: 256 x 256, seed 7, [0-9.]+ s\n", done.stdout)
    verdict = judge_picture(opened(tmp_path / "out.png"), on(Color.WHITE, thing(Kind.CIRCLE, Color.RED)))
    assert verdict.ok, verdict.reasons
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_settings_change_the_picture_as_they_do_over_http(server: Server, tmp_path: Path) -> None:
    settings = (
        "--negative", "blurry", "--cfg-text-scale", "3", "--cfg-img-scale", "1.2", "--cfg-interval", "0.2", "0.9",
        "--cfg-renorm-type", "channel", "--cfg-renorm-min", "0.5", "--timestep-shift", "2",
    )  # fmt: skip
    done = bagel("generate", "A cat", *QUICK, *settings, "-o", "set.png", url=url_of(server), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = server.answer(
        messages=user("A cat"), modalities=["image"], num_inference_steps=4, height=128, width=192, seed=5,
        negative_prompt="blurry", cfg_text_scale=3.0, cfg_img_scale=1.2, cfg_interval=[0.2, 0.9],
        cfg_renorm_type="channel", cfg_renorm_min=0.5, timestep_shift=2.0,
    )  # fmt: skip
    assert (tmp_path / "set.png").read_bytes() == read_picture(answer)


def test_several_pictures_have_numbers_and_seeds_and_json_the_servers_figures(server: Server, tmp_path: Path) -> None:
    done = bagel("generate", "A cat", *QUICK, "-n", "2", "-o", "cat.webp", "--json", url=url_of(server), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["pictures"] == [{"path": "cat-1.webp", "seed": 5}, {"path": "cat-2.webp", "seed": 6}]
    assert told["bagel"]["work"]["steps"] == 6
    first, second = (opened(tmp_path / name) for name in ("cat-1.webp", "cat-2.webp"))
    assert (first.format, first.size) == ("WEBP", (192, 128))
    assert first.tobytes() != second.tobytes()
    again = bagel("generate", "A cat", *QUICK, "-n", "2", "-o", "c.webp", url=url_of(server), cwd=tmp_path)
    assert again.stdout.count("192 x 128") == 2
    assert (tmp_path / "c-2.webp").read_bytes() == (tmp_path / "cat-2.webp").read_bytes()


def test_an_edit_sends_its_pictures_and_keeps_what_a_mask_covers(server: Server, tmp_path: Path) -> None:
    scene(192, 128).save(tmp_path / "in.png")
    mask = Image.new("RGBA", (192, 128), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (96, 0, 192, 128))
    mask.save(tmp_path / "mask.png")
    arguments = ("in.png", "Make it blue", *QUICK, "--cfg-interval", "0", "1")
    plain = bagel("edit", *arguments, "-o", "plain.png", url=url_of(server), cwd=tmp_path)
    masked = bagel("edit", *arguments, "--mask", "mask.png", "-o", "masked.png", url=url_of(server), cwd=tmp_path)
    assert (plain.returncode, masked.returncode) == (0, 0), plain.stderr + masked.stderr
    body = {"messages": user(picture(scene(192, 128)), text("Make it blue")), "modalities": ["image"], "seed": 5}
    answer = server.answer(**body, num_inference_steps=4, height=128, width=192)
    assert (tmp_path / "plain.png").read_bytes() == read_picture(answer)
    kept, drawn = opened(tmp_path / "masked.png"), opened(tmp_path / "plain.png")
    assert kept.crop((0, 0, 90, 128)).tobytes() == scene(192, 128).crop((0, 0, 90, 128)).tobytes()
    assert kept.crop((102, 0, 192, 128)).tobytes() == drawn.crop((102, 0, 192, 128)).tobytes()


def test_a_thought_is_told_before_its_picture(server: Server, tmp_path: Path) -> None:
    arguments = ("A cat", *QUICK, "--think", "--max-think-tokens", "9", "-o", "t.png")
    done = bagel("generate", *arguments, url=url_of(server), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = server.answer(
        messages=user("A cat"), modalities=["image"], num_inference_steps=4, height=128, width=192, seed=5, think=True,
        max_think_tokens=9,
    )  # fmt: skip
    assert done.stderr.strip() == answer["choices"][0]["message"]["content"].strip()
    assert (tmp_path / "t.png").read_bytes() == read_picture(answer)


def test_a_picture_can_go_to_another_program(server: Server, tmp_path: Path) -> None:
    from_file = bagel("generate", "A cat", *QUICK, "-o", "a.png", url=url_of(server), cwd=tmp_path)
    assert from_file.returncode == 0, from_file.stderr
    # Text mode would break the bytes: the shell writes them to a file.
    shell = bagel(
        "generate", "A cat", *QUICK, "-o", "-", url=url_of(server), cwd=tmp_path,
        prefix=("sh", "-c", '"$@" > piped.png', "sh"),
    )  # fmt: skip
    assert shell.returncode == 0, shell.stderr
    assert (tmp_path / "piped.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_a_terminal_shows_steps_and_pictures_on_the_way(server: Server, tmp_path: Path) -> None:
    arguments = ("A cat", "-o", "out.png", "--steps", "12", "--height", "128", "--width", "128", "--save-previews")
    with on_terminal("generate", *arguments, url=url_of(server), cwd=tmp_path) as terminal:
        terminal.wait("drawing")
        terminal.wait("11/11")
        terminal.wait("out.png: 128 x 128")
        assert terminal.wait_exit() == 0
    names = {"out.png", "out.preview-1.png", "out.preview-2.png", "out.preview-3.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    # The finished picture stays: its upper left pixels, two in one character.
    small = opened(tmp_path / "out.png").convert("RGB")
    small.thumbnail((48, 40))
    upper, lower = small.getpixel((0, 0)), small.getpixel((0, 1))
    colours = "38;2;{};{};{};48;2;{};{};{}m▀".format(*upper, *lower)
    assert terminal.raw.count(colours.encode()) == 1
    last = terminal.text.rindex("▀")
    assert "drawing" not in terminal.text[terminal.text.rindex("out.png:") :]
    assert last < terminal.text.rindex("out.png:")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("generate", "A cat", "-o", "nowhere/x.png"), 2, "is nowhere a folder that you may write to?"),
        (("generate", "A cat", "-o", "x.gif"), 2, "must end in .png, .jpg"),
        (("generate", "A cat", "--height", "128"), 2, "give both --height and --width"),
        (("generate", "A cat", "--height", "130", "--width", "128"), 1, "height must be a multiple of 16"),
        (("generate", "A cat", "-n", "2", "-o", "-"), 2, "takes one picture"),
        (("generate", "A cat", "--think", "--compression", "50", "-o", "x.jpg"), 2, "--compression: with --think only"),
        (("edit", "missing.png", "Make it red"), 2, "missing.png: cannot be read (No such file or directory)"),
        (("edit", "words.png", "Make it red"), 2, "words.png: is no PNG, JPEG or WebP file"),
        (("edit", "half.png", "Make it red"), 2, "half.png: the picture cannot be decoded"),
        (("edit", "in.png"), 2, "bagel edit PICTURE INSTRUCTION"),
        (("generate", "A cat", "--url", "no address"), 2, "must be like http://host:port"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_a_status(
    server: Server, tmp_path: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    scene(64, 64).save(tmp_path / "in.png")
    (tmp_path / "words.png").write_text("no picture")
    (tmp_path / "half.png").write_bytes((tmp_path / "in.png").read_bytes()[:120])
    before = set(tmp_path.iterdir())
    done = bagel(*arguments, url=url_of(server), cwd=tmp_path, TERMINAL_WIDTH="200")
    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert set(tmp_path.iterdir()) == before


def test_no_server_and_another_program_are_told_apart(tmp_path: Path) -> None:
    done = bagel("generate", "A cat", "--json", url=f"http://127.0.0.1:{free_port()}", cwd=tmp_path)
    assert done.returncode == 69
    assert "start one with `bagel serve`" in done.stderr
    assert json.loads(done.stdout)["error"]["message"] in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_never_half_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"an older one")
    little_room = ("sh", "-c", 'ulimit -f 8; exec "$@"', "sh")  # blocks of 512 bytes
    arguments = ("generate", "A cat", *QUICK, "-o", "out.png")
    done = bagel(*arguments, url=url_of(server), cwd=tmp_path, prefix=little_room)
    assert done.returncode == 2
    assert "out.png: cannot be written (File too large)" in done.stderr
    assert (tmp_path / "out.png").read_bytes() == b"an older one"
    assert bagel(*arguments, url=url_of(server), cwd=tmp_path).returncode == 0
    assert opened(tmp_path / "out.png").size == (192, 128)
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
