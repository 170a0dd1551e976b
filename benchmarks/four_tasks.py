"""`python -m benchmarks.four_tasks MODEL`: the four tasks against `bagel serve`, with times.

Also sends an edit and a text2img in both orders and compares the pictures byte by byte, and reads every stage's peak
memory. Needs nothing but an installed server; with `--load-format dummy` no weights.
"""

import argparse
import base64
import io
import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from bagel import defaults
from bagel.settings import DEFAULT_SIDE_PX
from examples.openai_chat_client import post, read_answer

START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
LOOK_AGAIN_S = 2.5


def main() -> int:
    """Exit status 0 when every task was answered and order changed no picture."""
    options = _arguments()
    url = f"http://127.0.0.1:{options.port}"
    command = [sys.executable, "-m", "services.cli.main", "serve", options.model, "--port", str(options.port)]
    command += ["--load-format", options.load_format, "--device", options.device, "--dtype", options.dtype]
    command += ["--transport", options.transport]
    with Path(options.log).open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            print(f"ready after {_wait_ready(url, server):.1f} s", flush=True)
            side = options.side or _largest_side(url)
            _run_tasks(url, options, side)
            same = _check_order(url, side)
            _print_stages(url)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(STOP_TIMEOUT_S)
    return 0 if same else 1


def _run_tasks(url: str, options: argparse.Namespace, side: int) -> None:
    picture = _draw_picture(side)
    size = {"height": side, "width": side, "num_inference_steps": options.steps, "seed": 42}
    text = {"modalities": ["text"], "max_tokens": options.tokens}
    image = {"modalities": ["image"], **size}
    for name, prompt, given, settings in (
        ("warm-up", "A cat", None, {**image, "num_inference_steps": 3}),
        ("text2text", "What is the capital of France?", None, text),
        ("img2text", "Describe this image in detail", picture, text),
        ("text2img", "A beautiful sunset over mountains", None, image),
        ("img2img", "Make the cat stand up", picture, {k: v for k, v in image.items() if k not in ("height", "width")}),
        ("text2text think", "What is the capital of France?", None, {**text, "think": True}),
        ("text2img think", "A cute cat", None, {**image, "think": True, "max_think_tokens": options.tokens}),
    ):
        started = time.monotonic()
        answer = post(f"{url}/v1/chat/completions", _body(prompt, given, settings))
        seconds = time.monotonic() - started
        _print_row(name, seconds, answer)


def _check_order(url: str, side: int) -> bool:
    """The same two requests alone and in both orders: every picture must be the same bytes."""
    size = {"height": side // 2, "width": side // 2, "num_inference_steps": 8, "seed": 7}
    edit = _body("Make the sky green", _draw_picture(side // 2), {"modalities": ["image"], **size})
    draw = _body("A red house", None, {"modalities": ["image"], **size})
    order = (edit, draw, draw, edit, edit, draw)
    pictures = [read_answer(post(f"{url}/v1/chat/completions", body))[0] for body in order]
    same = pictures[0] == pictures[3] == pictures[4] and pictures[1] == pictures[2] == pictures[5]
    print(f"edit and text2img in both orders: {'the same bytes' if same else 'DIFFERENT'}")
    return same


def _print_row(name: str, seconds: float, answer: dict[str, Any]) -> None:
    figures = answer["bagel"]
    t, work = figures["timings_s"], figures["work"]
    parts = [f"prefill {t['prefill']:.3f}"]
    if work["decode_steps"]:
        parts.append(f"first token {t['first_token']:.3f}, {1000 * t['decode'] / work['decode_steps']:.1f} ms a token")
    if "forwards" in work:
        moved = figures["transfer"]
        parts.append(f"transfer {moved['seconds']:.3f} ({moved['bytes'] / 1e6:.1f} MB), load {t['load']:.3f}")
        parts.append(f"denoise {t['denoise']:.3f} ({work['forwards']} forwards)")
        parts.append(f"VAE {t['vae_decode']:.3f}")
    print(f"{name:<16} {seconds:7.3f} s   {', '.join(parts)}", flush=True)


def _print_stages(url: str) -> None:
    """Memory and pages, once the gateway has looked at every stage again."""
    time.sleep(LOOK_AGAIN_S)
    for stage in _readiness(url)["stages"]:
        print(
            f"{stage['stage']}: {stage['device']}, {stage['dtype']}, peak {stage['peak_memory_bytes'] / 2**30:.1f} GiB,"
            f" {stage['free_pages']} of {stage['total_pages']} pages free"
        )


def _wait_ready(url: str, server: "subprocess.Popen[bytes]") -> float:
    started = time.monotonic()
    while time.monotonic() - started < START_TIMEOUT_S:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with status {server.returncode}; see its log")
        if _readiness(url)["ready"]:
            return time.monotonic() - started
        time.sleep(0.2)
    raise SystemExit(f"the server was not ready within {START_TIMEOUT_S:.0f} s; see its log")


def _largest_side(url: str) -> int:
    """The official side, or that of the largest picture that the model draws."""
    with urllib.request.urlopen(f"{url}/v1/models", timeout=5) as response:
        return min(DEFAULT_SIDE_PX, int(json.load(response)["data"][0]["limits"]["max_side_px"]))


def _readiness(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:
            body: dict[str, Any] = json.load(response)
            return body
    except OSError:
        return {"ready": False}


def _body(prompt: str, picture: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
    if picture is not None:
        content.append({"type": "image_url", "image_url": {"url": picture}})
    return {"messages": [{"role": "user", "content": content}], **settings}


def _draw_picture(side: int) -> str:
    image = Image.new("RGB", (side, side), (120, 170, 220))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, side * 2 // 3, side, side), fill=(60, 120, 50))
    draw.ellipse((side // 4, side // 4, side * 3 // 4, side * 3 // 4), fill=(220, 140, 60))
    out = io.BytesIO()
    image.save(out, format="PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default=defaults.MODEL)
    parser.add_argument("--load-format", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--transport", default="auto")
    parser.add_argument("--side", type=int, help=f"pixels a side; default: {DEFAULT_SIDE_PX}, or the model's largest")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--port", type=int, default=8191)
    parser.add_argument("--log", default="four_tasks.log", help="where the server's log goes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
