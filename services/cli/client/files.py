"""Picture files: those that go to the server, checked here first, and those that come back."""

import base64
import io
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import typer
from PIL import Image, UnidentifiedImageError

from bagel.errors import RequestError
from bagel.images import OUTPUT_MIME_TYPES, open_checked
from bagel.limits import BODY_BYTES
from services.cli.client.gateway import Upload
from services.cli.errors import CommandError

MAX_FILE_BYTES = BODY_BYTES.most // 4 * 3  # in base64 as much as the server takes of a whole request
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
STDOUT = "-"


@dataclass(frozen=True, slots=True)
class InputPicture:
    """A picture from a file, encoded as it lies there."""

    name: str
    data: bytes
    mime: str

    def part(self) -> dict[str, object]:
        """As a part of a message."""
        return picture_part(self.data, self.mime)

    def upload(self, field: str) -> Upload:
        """As a file of a form."""
        return Upload(field, self.name, self.data, self.mime)


def picture_part(data: bytes, mime: str) -> dict[str, object]:
    """An encoded picture as a part of a message."""
    url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def read_picture(path: str) -> InputPicture:
    """A picture that the server will take. Raises CommandError."""
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror}); name a PNG, JPEG or WebP file") from None
    if len(data) > MAX_FILE_BYTES:
        raise CommandError(f"{path}: is over {MAX_FILE_BYTES >> 20} MiB; scale the picture down")
    try:
        image = open_checked(data, param=path)
    except RequestError as error:
        # Pillow's words for this one tell nothing but an address in memory.
        unknown = isinstance(error.__cause__, UnidentifiedImageError)
        raise CommandError(f"{path}: is no PNG, JPEG or WebP file" if unknown else str(error)) from None
    return InputPicture(Path(path).name, data, Image.MIME[image.format or "PNG"])


@dataclass(frozen=True, slots=True)
class Target:
    """Where the pictures of one command go. `stem` and `suffix` make names; no folder is made."""

    folder: Path
    stem: str
    suffix: str
    to_stdout: bool = False

    @classmethod
    def of(cls, output: str | None, seed: int) -> "Target":
        """From `--output`. Raises CommandError when nothing could be written there."""
        path = Path(f"bagel-{seed}.png" if output in (None, STDOUT) else str(output)).expanduser()
        if output == STDOUT:
            if sys.stdout.isatty():
                raise CommandError("-o -: a terminal shows no picture files; send stdout to a file or a program")
            return cls(path.parent, path.stem, path.suffix, to_stdout=True)
        if path.suffix.lower() not in FORMATS:
            raise CommandError(f"--output {path}: must end in {', '.join(FORMATS)}")
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK) or path.is_dir():
            raise CommandError(f"--output {path}: cannot be written; is {path.parent} a folder that you may write to?")
        return cls(path.parent, path.stem, path.suffix)

    @property
    def format(self) -> str:
        """As the server calls it."""
        return FORMATS[self.suffix.lower()]

    @property
    def mime(self) -> str:
        """Of the files."""
        return OUTPUT_MIME_TYPES[self.format]

    def path(self, index: int, count: int, *, preview: int | None = None) -> Path:
        """The file of one picture of several, or of one of its previews."""
        number = "" if count == 1 else f"-{index + 1}"
        way = "" if preview is None else f".preview-{preview + 1}"
        return self.folder / f"{self.stem}{number}{way}{self.suffix}"

    def save(self, data: bytes, path: Path) -> None:
        """Write a picture, whole or not at all. Raises CommandError."""
        if self.to_stdout:
            typer.get_binary_stream("stdout").write(data)
            return
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                try:
                    file.write(data)
                    file.close()
                    Path(file.name).chmod(0o666 & ~_umask())
                    Path(file.name).replace(path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise CommandError(f"{path}: cannot be written ({error.strerror})") from None


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of an encoded picture, in pixels."""
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def _umask() -> int:
    """A temporary file is its owner's alone; the picture is to have the rights of any new file."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
