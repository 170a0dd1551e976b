#!/usr/bin/env python3
"""The four tasks over gRPC, with their progress:

bagel serve --grpc-port 8090
python examples/grpc_client.py "A red cat" --server localhost:8090 --output out
"""

import argparse
import sys
from pathlib import Path

from bagel.client import BagelClient, Said, ServerError
from bagel.v1.bagel_pb2 import TaskEvent


def main() -> int:
    """Draw, edit, describe, answer; the exit status."""
    parser = argparse.ArgumentParser(
        description="The four tasks over gRPC.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("prompt", nargs="?", default="A red cat on a white background")
    parser.add_argument("--server", default="localhost:8090", help="what --grpc-port of `bagel serve` opened")
    parser.add_argument("--edit", default="Make it blue", help="what to change in the picture")
    parser.add_argument("--question", default="Describe this image in detail")
    parser.add_argument("--steps", type=int, default=25, help="time points of a picture")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, default=Path("out"), help="folder for the pictures")
    parser.add_argument("--api-key", help="where the server asks for one")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    drawing = {"num_inference_steps": options.steps, "seed": options.seed}
    try:
        with BagelClient(options.server, api_key=options.api_key) as bagel:
            drawn = bagel.generate(options.prompt, watch=tell, **drawing).pictures[0]
            save(options.output / "text2img.png", drawn.data)
            edited = bagel.edit([drawn.data], options.edit, watch=tell, **drawing).pictures[0]
            save(options.output / "img2img.png", edited.data)
            print(bagel.understand([drawn.data], options.question, watch=tell).text)
            talk = [Said("user", [drawn.data, "What animal is it?"])]
            first = bagel.chat(talk, watch=tell).text
            talk += [Said("assistant", [first]), Said("user", ["What is the capital of France?"])]
            print(f"{first}\n{bagel.chat(talk, watch=tell).text}")
    except ServerError as error:
        print(f"{options.server}: {error}", file=sys.stderr)
        return 1
    return 0


def tell(event: TaskEvent) -> None:
    """One of the events that every task streams."""
    match event.WhichOneof("event"):
        case "in_line":
            progress(f"{event.in_line.position} before this one")
        case "steps":
            progress(f"step {event.steps.done} of {event.steps.total}")
        case "delta":
            progress(f"... {event.delta.text.strip()}")
        case "finished":
            progress(f"done in {event.finished.timings_s['total']:.2f} s", end="\n")


def progress(text: str, end: str = "") -> None:
    """Over the line before."""
    print(f"\r{text:<60}", end=end, file=sys.stderr, flush=True)


def save(path: Path, data: bytes) -> None:
    """Write a picture, and say where."""
    path.write_bytes(data)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
