"""`make demo`: starts a server on the default model, sends the four tasks, saves the pictures, stops it all."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.openai_chat_client import data_uri, post, read_answer

OUT = Path("out")
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Task:
    """One of the four requests, as a user of BAGEL writes it."""

    name: str
    prompt: str
    image: str | None
    settings: dict[str, Any]


PICTURE = {"modalities": ["image"], "num_inference_steps": 50, "seed": 42}
TASKS = (
    Task("text2img", "<|im_start|>A cute cat<|im_end|>", None, PICTURE),
    Task("img2img", "<|im_start|>Make the cat stand up<|im_end|>", "text2img", PICTURE),
    Task(
        "img2text",
        "<|im_start|>user\n<|image_pad|>\nDescribe this image in detail<|im_end|>\n<|im_start|>assistant\n",
        "text2img",
        {"modalities": ["text"], "max_tokens": 48},
    ),
    Task(
        "text2text",
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
        None,
        {"modalities": ["text"], "max_tokens": 48},
    ),
)


def main() -> int:
    """Exit status 0 when all four answers came and the server stopped cleanly."""
    OUT.mkdir(exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "services.cli.main", "serve", "--port", str(port)]
    print("$ bagel serve --port", port, flush=True)
    log_path = OUT / "demo.log"
    with log_path.open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            wait_ready(server, port, log_path)
            for task in TASKS:
                _run(task, f"http://127.0.0.1:{port}")
        finally:
            server.send_signal(signal.SIGTERM)
            status = server.wait(STOP_TIMEOUT_S)
    print(f"server stopped with status {status}; its log is {log_path}")
    print("The default model is a toy that knows a small drawn world; anything else gives the nearest thing in it.")
    return status


def _run(task: Task, url: str) -> None:
    content: list[dict[str, Any]] = [{"type": "text", "text": task.prompt}]
    if task.image is not None:
        content.append({"type": "image_url", "image_url": {"url": data_uri(str(OUT / f"{task.image}.png"))}})
    started = time.monotonic()
    answer = post(f"{url}/v1/chat/completions", {"messages": [{"role": "user", "content": content}], **task.settings})
    seconds = time.monotonic() - started
    picture, text = read_answer(answer)
    figures = answer["bagel"]
    timings = {name: round(value, 3) for name, value in figures["timings_s"].items()}
    print(f"\n{task.name}: {seconds:.2f} s  {json.dumps(timings)}")
    if picture is not None:
        path = OUT / f"{task.name}.png"
        path.write_bytes(picture)
        size, work = figures["size"], figures["work"]
        print(f"  {path}  {size['width']} x {size['height']}, seed {figures['seed']}, {work['forwards']} forwards")
    else:
        print(f"  {text!r}")
    if picture is None and not text:
        raise SystemExit(f"{task.name}: the answer holds neither a text nor a picture")


def wait_ready(server: "subprocess.Popen[bytes]", port: int, log_path: Path) -> None:
    """Show what the server waits for until it is ready."""
    deadline, said = time.monotonic() + START_TIMEOUT_S, ""
    started = time.monotonic()
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with status {server.returncode}; see {log_path}")
        reasons = _missing(port)
        if not reasons:
            print(f"ready after {time.monotonic() - started:.1f} s", flush=True)
            return
        if reasons != said:
            said = reasons
            print(f"  waiting: {reasons}", flush=True)
        time.sleep(0.2)
    raise SystemExit(f"the server was not ready within {START_TIMEOUT_S:.0f} s; see {log_path}")


def _missing(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
            json.load(response)
            return ""
    except urllib.error.HTTPError as error:
        return "; ".join(json.load(error)["reasons"])
    except OSError:
        return "the gateway is starting"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
