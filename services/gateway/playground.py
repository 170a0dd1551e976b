"""`/`: the playground's page, and the files that it loads. Read once; knows nothing of the API that the page talks to.

The page is static and asks this host alone: no script of another, no build step, nothing inline.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import Request
from fastapi.responses import Response

from services.gateway.errors import invalid_request

PAGE = "index.html"
_MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
# Pictures on the way are blobs; nothing may make a script, or markup, of a text.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Kept, and asked about by its tag each time: a new version of the server never meets an old file.
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    media_type: str
    etag: str


class Playground:
    """The handlers with what they serve."""

    def __init__(self) -> None:
        self._files = {file.name: _read(file.name, file.read_bytes()) for file in _listed()}

    async def page(self, request: Request) -> Response:
        """The page."""
        return _answer(request, self._files[PAGE])

    async def file(self, request: Request) -> Response:
        """A file that the page loads, by its name alone: no path reaches a file system. Raises ApiError."""
        name = request.path_params["name"]
        file = self._files.get(name)
        if file is None or name == PAGE:
            raise invalid_request(f"the playground has no file {name!r}", code="not_found", status=404)
        return _answer(request, file)


def _listed() -> list[Traversable]:
    folder = files("services.gateway") / "playground"
    return [file for file in folder.iterdir() if file.name.rpartition(".")[2] in _MEDIA_TYPES]


def _read(name: str, data: bytes) -> _File:
    return _File(data, _MEDIA_TYPES[name.rpartition(".")[2]], f'"{hashlib.sha256(data).hexdigest()[:32]}"')


def _answer(request: Request, file: _File) -> Response:
    headers = {**_HEADERS, "etag": file.etag}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if file.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(file.data, media_type=file.media_type, headers=headers)
