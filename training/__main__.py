"""`python -m training`: train the toy model; see `training/README.md`."""

import argparse
import math
from pathlib import Path

from training.batches import BatchSettings
from training.export import merge_shards
from training.joint import JointSettings
from training.run import Run, RunSettings
from training.vae import VaeSettings

TOY = Path(__file__).parent.parent / "models" / "toy"


def main() -> int:
    """Exit status 0 when the run is complete, 3 when another call is needed to go on."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="tokenizer, corpus, VAE, latents, training; call again until it is complete")
    run.add_argument("--work", type=Path, required=True, help="folder for corpus and state, some tens of GB")
    run.add_argument("--out", type=Path, required=True, help="folder for shards, logs and previews")
    run.add_argument("--limit-s", type=float, default=math.inf, help="of this call")
    run.add_argument("--workers", type=int, default=15)
    run.add_argument("--corpus-scale", type=float, default=1.0)
    run.add_argument("--vae-steps", type=int, default=7000)
    run.add_argument("--steps", type=int, default=20_000, help="of joint training, if the budget allows")
    run.add_argument("--budget-s", type=float, default=math.inf, help="seconds of joint training, over all calls")
    run.add_argument("--batch-scale", type=float, default=1.0)
    run.add_argument("--init", type=Path, help="checkpoint folder to go on from, VAE included")
    run.add_argument("--no-compile", action="store_true")
    curves = commands.add_parser("curves", help="the loss curves of a run as a picture")
    curves.add_argument("logs", type=Path, help="folder with vae.jsonl and joint.jsonl")
    curves.add_argument("picture", type=Path)
    merge = commands.add_parser("merge", help="a run's output -> a checkpoint folder")
    merge.add_argument("shards", type=Path)
    merge.add_argument("--into", type=Path, default=TOY)
    args = parser.parse_args()
    match args.command:
        case "curves":
            from training.curves import draw_curves

            draw_curves(args.logs, args.picture)
            return 0
        case "merge":
            merge_shards(args.shards, args.into)
            return 0
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    base = BatchSettings()
    scaled = {k: max(2, int(getattr(base, k) * args.batch_scale)) for k in ("pictures", "edits", "questions", "texts")}
    settings = RunSettings(
        model=TOY,
        work=args.work,
        out=args.out,
        init=args.init,
        limit_s=args.limit_s,
        workers=args.workers,
        corpus_scale=args.corpus_scale,
        vae=VaeSettings(steps=args.vae_steps),
        joint=JointSettings(steps=args.steps, budget_s=args.budget_s, compile=not args.no_compile),
        batch=BatchSettings(**scaled),
    )
    return 0 if Run(settings)() else 3


if __name__ == "__main__":
    raise SystemExit(main())
