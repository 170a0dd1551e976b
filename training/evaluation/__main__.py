"""`make toy-eval`: runs the held-out tasks through the services, prints and writes how well they went."""

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from training.evaluation.outcomes import STEPS, Sampling
from training.evaluation.report import bars_missed, by_section, print_table, write_json
from training.evaluation.running import run_tasks
from training.evaluation.server import server_at
from training.evaluation.sheet import write_sheet
from training.evaluation.tasks import Section, all_tasks

OUT = Path("out")
_GUIDED = (Section.SINGLE, Section.COMPOSED)


def main() -> int:
    """Exit status 1 when a bar is missed."""
    options = _parse_arguments()
    console = Console()
    started = time.monotonic()
    chosen = options.only or (_GUIDED if options.guidance_off else tuple(Section))
    with server_at(options.url, options.model, OUT / "toy-eval.log") as url:
        tasks = all_tasks(chosen, options.limit)
        console.print(f"{len(tasks)} tasks chosen after {time.monotonic() - started:.0f} s")
        sampling = Sampling(steps=options.steps)
        outcomes = run_tasks(url, tasks, sampling, console)
        if options.guidance_off:
            unguided = Sampling(steps=options.steps, text_scale=1.0)
            without = run_tasks(url, tasks, unguided, console)
            write_json(OUT / "toy-eval-noguidance.json", without, unguided, time.monotonic() - started)
            write_sheet(OUT / "toy-eval-noguidance.png", without)
            print_table(console, without)
            for section, own in by_section(outcomes).items():
                off = by_section(without)[section]
                console.print(f"{section}: {own.fraction:.1%} with guidance, {off.fraction:.1%} with cfg_text_scale 1")
            return 0
    write_json(OUT / "toy-eval.json", outcomes, sampling, time.monotonic() - started)
    write_sheet(OUT / "toy-eval.png", outcomes)
    print_table(console, outcomes)
    console.print(f"{OUT / 'toy-eval.json'} and {OUT / 'toy-eval.png'} after {time.monotonic() - started:.0f} s")
    return 1 if bars_missed(by_section(outcomes)) else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.evaluation", description=__doc__)
    parser.add_argument("--url", help="a server that runs; else one is started and stopped")
    parser.add_argument("--model", help="what to serve, if not the default model")
    parser.add_argument("--guidance-off", action="store_true", help="text2img with and without guidance by the text")
    parser.add_argument("--only", type=Section, choices=list(Section), action="append", help="one section; repeatable")
    parser.add_argument("--limit", type=int, help="the most tasks of a section")
    parser.add_argument("--steps", type=int, default=STEPS, help="time points of a picture")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
