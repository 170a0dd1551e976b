"""`python -m tests.parity.direct FOLDER`: every case of a golden folder through the engines of this process."""

import argparse
import sys
from pathlib import Path

import torch

from tests.parity.golden import Case, Golden
from tests.parity.image_cases import run_image_case
from tests.parity.report import Report
from tests.parity.rig import Rig
from tests.parity.text_cases import run_text_case
from tests.parity.unit_cases import (
    run_sizes_case,
    run_tokenizer_case,
    run_transforms_case,
    run_units_case,
    run_vae_case,
)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when every case passed."""
    options = _arguments(argv)
    golden = Golden(options.folder)
    rig = Rig.build(golden.checkpoint, device=options.device, dtype=options.dtype, page_tokens=options.page_tokens)
    passed = failed = 0
    for case in golden.cases():
        if options.cases and case.name not in options.cases:
            continue
        if case.makes_image and case.taylorseer:
            print(f"---- {case.name:<26} TaylorSeer is not built yet", flush=True)
            continue
        report = Report(case.name, drift=golden.drift(case.name) if options.dtype == "bfloat16" else None)
        if options.dtype == "bfloat16" and not (case.makes_image or case.makes_text):
            continue
        try:
            with torch.inference_mode():
                run_case(case, rig, report)
        except Exception as error:  # noqa: BLE001 - one broken case must not hide the others
            report.problems.insert(0, f"{type(error).__name__}: {error}")
        print(report.line(), flush=True)
        passed, failed = passed + report.passed, failed + (not report.passed)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


def run_case(case: Case, rig: Rig, report: Report) -> None:
    """Run one case of any kind."""
    if case.makes_text:
        run_text_case(case, rig, report)
    elif case.makes_image:
        run_image_case(case, rig, report)
    elif case.kind == "transforms":
        run = run_transforms_case if "images" in case.json else run_sizes_case
        run(case, rig, report)
    elif case.kind == "vae":
        run_vae_case(case, rig, report)
    elif case.kind == "units":
        run_units_case(case, rig, report)
    elif case.kind == "tokenizer":
        run_tokenizer_case(case, rig, report)
    else:
        report.problems.append(f"a case of unknown kind {case.kind!r}")


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="golden folder: checkpoint/, cases/, inputs/, manifest.json")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--page-tokens", type=int, default=16)
    parser.add_argument("--cases", nargs="*", help="only these")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
