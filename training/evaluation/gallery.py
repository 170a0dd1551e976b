"""`make gallery`: makes every picture and text of `docs/gallery.md` again, as a new user would."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.console import Console

from training.evaluation.client import Answer, Json, Request, ask
from training.evaluation.gallery_entries import CHAPTERS, Chapter, Drawing, Talk
from training.evaluation.server import server_at

DOCS = Path("docs")
FOLDER = DOCS / "gallery"
LOG = Path("out") / "gallery.log"
MAX_TOKENS = 96
_COLORS, _PNG_MOST_BYTES, _JPEG_QUALITY = 128, 90_000, 88
_INTRO = """# Gallery

What `models/toy` makes of what people type. One seed for all of it, 3; with the one that was tried first, 42, "A cute
cat" was gray on a gray ground, a thing of outlines. Nothing else is selected. Made by `make gallery` on a CPU; the
seconds are what a request took there. Pictures are stored with fewer colours, or as JPEG.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What has been made so far, by the entries' names."""

    pictures: dict[str, Image.Image]
    files: dict[str, str]


def main() -> int:
    """Exit status 0 when every request was answered."""
    options = _parse_arguments()
    console = Console()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    made = Made(pictures={}, files={})
    with server_at(options.url, options.model, LOG) as url:
        chapters = [_chapter(chapter, made, lambda request: ask(url, request), console) for chapter in CHAPTERS]
    (DOCS / "gallery.md").write_text("\n".join((_INTRO, *chapters)))
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    console.print(f"{DOCS / 'gallery.md'}: {len(made.files)} pictures, {size / 1e6:.2f} MB")
    return 0


def _chapter(chapter: Chapter, made: Made, send: Callable[[Request], Answer], console: Console) -> str:
    parts = [f"## {chapter.title}"]
    for entry in chapter.entries:
        answer = send(_request(entry, made))
        parts.append(_drawn(entry, answer, made) if isinstance(entry, Drawing) else _said(entry, answer, made))
        console.print(f"{answer.wall_s:6.1f} s  {entry.prompt}")
    return "\n\n".join(parts) + "\n"


def _request(entry: Drawing | Talk, made: Made) -> Request:
    settings: Json = {"think": True, "max_think_tokens": MAX_TOKENS} if entry.think else {}
    if isinstance(entry, Drawing):
        settings |= {
            "modalities": ["image"], "width": entry.width, "height": entry.height, "seed": entry.seed,
            "num_inference_steps": entry.steps,
        }  # fmt: skip
        if entry.negative:
            settings["negative_prompt"] = entry.negative
    else:
        settings |= {"modalities": ["text"], "max_tokens": MAX_TOKENS}
    picture = made.pictures[entry.of] if entry.of else None
    return Request(prompt=entry.prompt, picture=picture, settings=settings)


def _drawn(entry: Drawing, answer: Answer, made: Made) -> str:
    """The picture with its prompt, beside the one it was made of."""
    if answer.picture is None:
        raise RuntimeError(f"{entry.name}: no picture came")
    made.pictures[entry.name] = answer.picture
    made.files[entry.name] = _stored(answer.picture, entry.name)
    facts = [f"{entry.width} x {entry.height}", f"{entry.steps} steps", f"seed {entry.seed}"]
    if entry.negative:
        facts.append(f'negative prompt "{entry.negative}"')
    facts.append(f"{answer.wall_s:.1f} s")
    lines = [f"**{entry.prompt}**  ", ", ".join(facts), ""]
    if entry.think:
        lines += [f"> {_quoted(answer.text)}", ""]
    if entry.of:
        lines.append(f"{_shown(made, entry.of)} → {_shown(made, entry.name)}")
    else:
        lines.append(_shown(made, entry.name))
    return "\n".join(lines)


def _said(entry: Talk, answer: Answer, made: Made) -> str:
    about = [_shown(made, entry.of, 128), ""] if entry.of else []
    return "\n".join([*about, f"**{entry.prompt}**  ", f"{answer.wall_s:.1f} s", "", f"> {_quoted(answer.text)}"])


def _shown(made: Made, name: str, width: int = 256) -> str:
    return f'<img src="gallery/{made.files[name]}" width="{width}" alt="{name}">'


def _quoted(text: str) -> str:
    """Markup of thoughts is shown, not taken for HTML."""
    return " ".join(text.split()).replace("<", "&lt;").replace(">", "&gt;")


def _stored(picture: Image.Image, name: str) -> str:
    """The file's name: a PNG of few colours, or where that is large a JPEG."""
    few = picture.quantize(_COLORS, dither=Image.Dither.NONE)
    path = FOLDER / f"{name}.png"
    few.save(path, optimize=True)
    if path.stat().st_size > _PNG_MOST_BYTES:
        path.unlink()
        path = FOLDER / f"{name}.jpg"
        picture.save(path, quality=_JPEG_QUALITY, optimize=True)
    return path.name


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.gallery", description=__doc__)
    parser.add_argument("--url", help="a server that runs; else one is started and stopped")
    parser.add_argument("--model", help="what to serve, if not the default model")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
