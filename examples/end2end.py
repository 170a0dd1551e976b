#!/usr/bin/env python3
"""BAGEL without a server: prompts in, pictures into a folder and texts on the terminal, by engines in this process.

    python examples/end2end.py --prompts "A red cat" "A blue house" --output out
    python examples/end2end.py --modality img2text --image-path out/001-a-red-cat.png --prompts "What color is it?"

docs/offline.md says what each flag does here.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.launch.offline import Offline, Prompt

DEFAULT_PROMPTS = {
    "text2img": "A cute cat",
    "img2img": "Make it blue",
    "img2text": "Describe this image in detail",
    "text2text": "What is the capital of France?",
}
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
# Flags that other systems' scripts have and that mean nothing here, with the reason.
UNUSED = {
    "worker_backend": "the engines run in this process; `bagel serve --worker-backend ray` has Ray",
    "ray_address": "the engines run in this process; `bagel serve --worker-backend ray` has Ray",
    "init_sleep_seconds": "nothing has to wait between two stages of one process",
    "batch_timeout": "a prompt begins as soon as there is room; no batch is waited for",
}


def main() -> int:
    """The exit status: 0, 1 where a prompt failed, 2 for a wrong command line, path or deploy file."""
    options = parse_arguments()
    try:
        texts, picture = read_prompts(options), read_image(options)
        if options.modality.endswith("img"):
            make_folder(options.output)
    except OSError as error:
        return refuse(f"{error.filename}: cannot be read ({error.strerror})")
    except ValueError as error:
        return refuse(str(error))
    for name, reason in UNUSED.items():
        if getattr(options, name) not in (None, "process"):
            print(f"--{name.replace('_', '-')} changes nothing: {reason}", file=sys.stderr)
    # Loads torch; mistakes in what was typed are told before.
    from bagel.errors import BagelError
    from bagel.logs import configure_logs
    from services.launch.deploy.load import DeploySources
    from services.launch.offline import Offline, OfflineOptions, Prompt
    from services.launch.offline_prompts import check_picture

    configure_logs(service="end2end", fmt="text", level="warning")
    deploy = DeploySources(deploy_config=options.deploy_config, stage_configs=options.stage_configs_path)
    draws = options.modality.endswith("img")
    settings = {"num_inference_steps": options.steps} if draws else {}
    if options.think:
        settings["think"] = True
    pictures = () if picture is None else (picture,)
    prompts = [Prompt(text=text, draws=draws, pictures=pictures, settings=settings) for text in texts]
    try:
        if picture is not None:
            check_picture(picture, options.image_path)
        offline = Offline(
            OfflineOptions(model=options.model, deploy=deploy, init_timeout_s=options.init_timeout)
        )  # fmt: skip
        if offline.unused:
            print(f"of the deploy file, {', '.join(offline.unused)} mean nothing in one process", file=sys.stderr)
        print(f"loading {options.model}", file=sys.stderr, flush=True)
        with offline:
            return run(offline, prompts, options)
    except BagelError as error:
        return refuse(str(error))


def parse_arguments() -> argparse.Namespace:
    """The command line, as scripts for BAGEL have it."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--model", default="toy", help="local folder, Hugging Face id, or a bundled model")
    parser.add_argument("--modality", default="text2img", choices=sorted(DEFAULT_PROMPTS))
    parser.add_argument("--prompts", nargs="+", help="one or more; without any, one that shows the task")
    parser.add_argument("--txt-prompts", help="a file with a prompt a line")
    parser.add_argument("--image-path", help="the picture that img2img and img2text are about")
    parser.add_argument("--steps", type=int, default=50, help="time points of a picture")
    parser.add_argument("--output", default="out", help="folder for pictures; made if it is missing")
    parser.add_argument("--stage-configs-path", help="a deploy file in the older form")
    parser.add_argument("--deploy-config", help="a deploy file, or a bundled one's name")
    parser.add_argument("--think", action="store_true", help="write a thought first")
    parser.add_argument("--enable-stats", action="store_true", help="a table of seconds at the end")
    parser.add_argument("--init-timeout", type=float, default=300, help="seconds for loading the model")
    parser.add_argument("--worker-backend", choices=("process", "ray"), help="accepted; changes nothing here")
    parser.add_argument("--ray-address", help="accepted; changes nothing here")
    parser.add_argument("--init-sleep-seconds", type=float, help="accepted; changes nothing here")
    parser.add_argument("--batch-timeout", type=float, help="accepted; changes nothing here")
    return parser.parse_args()


def read_prompts(options: argparse.Namespace) -> list[str]:
    """Raises OSError, ValueError."""
    if options.txt_prompts is None:
        return options.prompts or [DEFAULT_PROMPTS[options.modality]]
    if options.prompts:
        raise ValueError("give --prompts or --txt-prompts, not both")
    try:
        lines = Path(options.txt_prompts).expanduser().read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"--txt-prompts {options.txt_prompts}: is no text in UTF-8") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise ValueError(f"--txt-prompts {options.txt_prompts}: has no prompt; write one a line")
    return texts


def read_image(options: argparse.Namespace) -> bytes | None:
    """The picture of a task that has one. Raises OSError, ValueError."""
    if not options.modality.startswith("img"):
        if options.image_path is not None:
            raise ValueError(f"--image-path: {options.modality} takes no picture; name another --modality")
        return None
    if options.image_path is None:
        raise ValueError(f"--modality {options.modality} needs --image-path")
    return Path(options.image_path).expanduser().read_bytes()


def make_folder(output: str) -> None:
    """Where pictures go. Raises ValueError."""
    folder = Path(output).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--output {output}: no folder can be made there ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise ValueError(f"--output {output}: cannot be written to")


def run(offline: "Offline", prompts: "Sequence[Prompt]", options: argparse.Namespace) -> int:
    """Every prompt, several at once; pictures are saved and texts printed as they are finished."""
    from rich.console import Console

    from services.launch.offline_report import Report, statistics

    folder = Path(options.output).expanduser()
    started_s, done = time.monotonic(), []
    with Report([prompt.text for prompt in prompts]) as report:
        for made in offline.generate(prompts, report.watch):
            done.append(made)
            saved = None
            if made.picture is not None:
                saved = folder / f"{made.index + 1:03d}-{slug(made.prompt.text)}.png"
                saved.write_bytes(made.picture)
            report.finish(made, None if saved is None else str(saved))
            if made.text:
                print(f"[{made.index + 1}] {made.text}", flush=True)
    if options.enable_stats:
        Console(stderr=True).print(statistics(done, time.monotonic() - started_s))
    return EXIT_FAILED if any(made.error for made in done) else 0


def slug(text: str) -> str:
    """The beginning of a prompt as a file's name."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"<\|\w+\|>", " ", text.lower()))
    return "-".join(words)[:40].rstrip("-") or "picture"


def refuse(message: str) -> int:
    """Say what was wrong."""
    print(f"end2end: {message}", file=sys.stderr, flush=True)
    return EXIT_USAGE


if __name__ == "__main__":
    try:
        status = main()
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    sys.stdout.flush()
    # A model that is still being loaded when its time is over holds a thread that nothing ends.
    os._exit(status)
