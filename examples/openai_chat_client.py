#!/usr/bin/env python3
"""A client for bagel-serve's `/v1/chat/completions`: the four tasks from the command line, standard library only."""

import argparse
import base64
import json
import mimetypes
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT_S = 300
OUTPUT_OF = {"text2img": "image", "img2img": "image", "img2text": "text", "text2text": "text"}
MAX_PICTURE_BYTES = 48 * 1024 * 1024


def main() -> int:
    """Send one request; print the text or save the picture."""
    options = parse_arguments()
    if options.modality in ("img2img", "img2text") and not options.image_url:
        print(f"{options.modality} needs --image-url", file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        answer = post(f"{options.server.rstrip('/')}/v1/chat/completions", request_body(options))
    except (OSError, ValueError, RuntimeError) as error:
        print(f"{options.server}: {error}", file=sys.stderr)
        return 1
    picture, text = read_answer(answer)
    if text:
        print(text)
    if picture is not None:
        Path(options.output).write_bytes(picture)
        print(f"saved {options.output} ({len(picture)} bytes)")
    print(f"{time.monotonic() - started:.2f} s", file=sys.stderr)
    return 0 if text or picture is not None else 1


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", "-p", default="A cute cat")
    parser.add_argument("--output", "-o", default="bagel_output.png")
    parser.add_argument("--server", "-s", default="http://localhost:8091")
    parser.add_argument("--image-url", "-i", help="URL or path of an input picture")
    parser.add_argument("--modality", "-m", default="text2img", choices=sorted(OUTPUT_OF))
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--negative", help="negative prompt")
    return parser.parse_args()


def request_body(options: argparse.Namespace) -> dict[str, Any]:
    """The request for a task."""
    content: list[dict[str, Any]] = [{"type": "text", "text": f"<|im_start|>{options.prompt}<|im_end|>"}]
    if options.image_url:
        content.append({"type": "image_url", "image_url": {"url": data_uri(options.image_url)}})
    output = OUTPUT_OF[options.modality]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}], "modalities": [output]}
    if output == "image":
        body |= {"height": options.height, "width": options.width, "num_inference_steps": options.steps}
        if options.negative:
            body["negative_prompt"] = options.negative
    body["seed"] = options.seed
    return body


def data_uri(source: str) -> str:
    """A picture inline; http(s) addresses are downloaded here, since the server fetches nothing."""
    if source.startswith("data:"):
        return source
    if source.startswith(("http://", "https://")):
        with urllib.request.urlopen(source, timeout=TIMEOUT_S) as response:
            data, mime = response.read(MAX_PICTURE_BYTES + 1), response.headers.get_content_type()
    else:
        data, mime = Path(source).read_bytes(), mimetypes.guess_type(source)[0]
    if len(data) > MAX_PICTURE_BYTES:
        raise ValueError(f"{source} is over {MAX_PICTURE_BYTES} bytes; send a smaller picture")
    # The server looks at the picture itself; the type only has to say that it is one.
    mime = mime if mime and mime.startswith("image/") else "image/jpeg"
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send JSON, get JSON. Raises RuntimeError with the server's own message."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        try:
            message = json.load(error)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = error.reason
        raise RuntimeError(f"{error.code}: {message}") from error


def read_answer(answer: dict[str, Any]) -> tuple[bytes | None, str]:
    """The first picture and the first text of an answer."""
    picture, text = None, ""
    for choice in answer["choices"]:
        content = choice["message"]["content"]
        if isinstance(content, list) and content and picture is None:
            url = content[0].get("image_url", {}).get("url", "")
            if url.startswith("data:image"):
                picture = base64.b64decode(url.split(",", 1)[1])
        elif isinstance(content, str) and content and not text:
            text = content
    return picture, text


if __name__ == "__main__":
    sys.exit(main())
