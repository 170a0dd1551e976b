"""`python -m benchmarks.four_tasks MODEL`: the four tasks through three processes, with times.

Also sends an edit and a text2img in both orders and compares the pictures byte by byte, and reads every stage's peak
memory. Needs nothing but an installed server; with `--load-format dummy` no weights.
"""

import argparse
import base64
import io
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
from PIL import Image, ImageDraw

from bagel.rpc import CHANNEL_OPTIONS
from bagel.v1 import dit_pb2_grpc, settings_pb2, thinker_pb2_grpc
from examples.openai_chat_client import post, read_answer

START_TIMEOUT_S = 300.0


def main() -> int:
    """Exit status 0 when every task was answered and order changed no picture."""
    options = _arguments()
    with tempfile.TemporaryDirectory(prefix="bagel-bench-") as folder:
        sockets = {name: f"unix:{folder}/{name}.sock" for name in ("thinker", "dit")}
        processes = _start(options, folder, sockets)
        try:
            ready_s = _wait_ready(sockets, processes)
            print(f"ready after {ready_s:.1f} s", flush=True)
            url = f"http://127.0.0.1:{options.port}"
            _run_tasks(url, options)
            same = _check_order(url, options)
            _print_memory(sockets)
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(60)
    return 0 if same else 1


def _run_tasks(url: str, options: argparse.Namespace) -> None:
    picture = _draw_picture(options.side)
    size = {"height": options.side, "width": options.side, "num_inference_steps": options.steps, "seed": 42}
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


def _check_order(url: str, options: argparse.Namespace) -> bool:
    """The same two requests alone and in both orders: every picture must be the same bytes."""
    size = {"height": options.side // 2, "width": options.side // 2, "num_inference_steps": 8, "seed": 7}
    edit = _body("Make the sky green", _draw_picture(options.side // 2), {"modalities": ["image"], **size})
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
        parts.append(f"transfer {moved['seconds']:.3f} ({moved['bytes'] / 1e6:.1f} MB)")
        parts.append(f"denoise {t['denoise']:.3f} ({work['forwards']} forwards)")
        parts.append(f"VAE {t['vae_decode']:.3f}")
    print(f"{name:<16} {seconds:7.3f} s   {', '.join(parts)}", flush=True)


def _print_memory(sockets: dict[str, str]) -> None:
    for name, stub in (("thinker", thinker_pb2_grpc.ThinkerStub), ("dit", dit_pb2_grpc.DitStub)):
        with grpc.insecure_channel(sockets[name], options=CHANNEL_OPTIONS) as channel:
            status = stub(channel).GetStatus(settings_pb2.GetStatusRequest(), timeout=5)
        print(
            f"{name}: {status.model.device}, {status.model.dtype}, peak {status.peak_memory_bytes / 2**30:.1f} GiB,"
            f" {status.free_pages} of {status.total_pages} pages free"
        )


def _start(options: argparse.Namespace, folder: str, sockets: dict[str, str]) -> list["subprocess.Popen[bytes]"]:
    shared = ("--model", options.model, "--load-format", options.load_format, "--device", options.device,
              "--dtype", options.dtype, "--plain-progress", "--die-with-parent", "--log-format", "text")  # fmt: skip
    commands = (
        ("services.thinker", *shared, "--bind", sockets["thinker"], "--kv-bind", f"ipc://{folder}/kv.sock"),
        ("services.dit", *shared, "--bind", sockets["dit"]),
        ("services.gateway", "--port", str(options.port), "--thinker", sockets["thinker"], "--dit", sockets["dit"]),
    )
    log = Path(options.log).open("w")  # noqa: SIM115 - the children write to it
    return [subprocess.Popen([sys.executable, "-m", *command], stdout=log, stderr=log) for command in commands]


def _wait_ready(sockets: dict[str, str], processes: list["subprocess.Popen[bytes]"]) -> float:
    started = time.monotonic()
    for name, stub in (("thinker", thinker_pb2_grpc.ThinkerStub), ("dit", dit_pb2_grpc.DitStub)):
        with grpc.insecure_channel(sockets[name], options=CHANNEL_OPTIONS) as channel:
            while time.monotonic() - started < START_TIMEOUT_S:
                if any(process.poll() is not None for process in processes):
                    raise SystemExit("a process ended; see its log")
                try:
                    status = stub(channel).GetStatus(settings_pb2.GetStatusRequest(), timeout=5)
                except grpc.RpcError:
                    time.sleep(0.2)
                    continue
                if status.state == settings_pb2.STAGE_STATE_READY:
                    break
                time.sleep(0.2)
            else:
                raise SystemExit(f"{name} was not ready within {START_TIMEOUT_S} s")
    time.sleep(2.5)  # the gateway looks every two seconds
    return time.monotonic() - started


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
    parser.add_argument("model", nargs="?", default="first-light")
    parser.add_argument("--load-format", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--side", type=int, default=1024, help="pixels a side")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--port", type=int, default=8191)
    parser.add_argument("--log", default="four_tasks.log", help="where the processes' logs go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
