"""Where a chat request's pictures come from: inline in the request, or fetched where that is allowed; never a path."""

import asyncio
import base64
import re

from bagel.errors import RequestError
from bagel.limits import BODY_BYTES, PICTURES_SENT
from services.gateway.bodies import Hold
from services.gateway.fetching import PictureFetcher
from services.gateway.schemas import ChatRequest, ImagePart

_DATA_URI = re.compile(r"data:image/[\w.+-]+(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)
_REMOTE = re.compile(r"https?:", re.IGNORECASE)


def picture_urls(request: ChatRequest) -> list[tuple[str, str]]:
    """Field and URL of every picture, in order. Raises RequestError."""
    urls = [
        (f"messages[{m}].content[{p}].image_url.url", part.image_url.url)
        for m, message in enumerate(request.messages)
        for p, part in enumerate(message.content)
        if isinstance(part, ImagePart)
    ]
    if len(urls) > PICTURES_SENT.most:
        raise RequestError(f"{len(urls)} pictures were sent, at most {PICTURES_SENT.most} are taken", param="messages")
    return urls


async def load_pictures(urls: list[tuple[str, str]], fetcher: PictureFetcher | None, hold: Hold) -> list[bytes]:
    """Every picture as it was encoded, not looked at yet. Without a fetcher nothing is fetched.

    `hold` counts what is fetched, while it comes. Raises RequestError, ApiError.
    """
    loaded: list[bytes] = []
    for param, url in urls:
        if fetcher is not None and _REMOTE.match(url):
            loaded.append(await fetcher.fetch(url, param=param, hold=hold))
            if sum(map(len, loaded)) > BODY_BYTES.most:
                message = f"{param}: the pictures have over {BODY_BYTES.most >> 20} MiB together"
                raise RequestError(message, param=param)
        else:
            loaded.append(await asyncio.to_thread(decode_data_uri, url, param))
    return loaded


def decode_data_uri(url: str, param: str) -> bytes:
    """The picture that stands in a data URI. Raises RequestError."""
    found = _DATA_URI.match(url)
    if found is None:
        scheme = url.split(":", 1)[0][:20] if ":" in url[:40] else "a path"
        raise RequestError(
            f"{param}: pictures are taken inline as data:image/...;base64,... only, not from {scheme!r}", param=param
        )
    try:
        return base64.b64decode(url[found.end() :], validate=True)
    except ValueError as error:  # binascii.Error, or characters beyond ASCII
        raise RequestError(f"{param}: not valid base64 ({error})", param=param) from error
