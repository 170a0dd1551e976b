"""One training run from nothing to shards, in stages that pick up where the last call stopped."""

import json
import multiprocessing
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from bagel.config import ModelConfig, load_model_config
from bagel.model.weights import SafetensorsSource
from bagel.tokens import read_special_tokens
from training.batches import Batches, BatchSettings
from training.corpus import Chunk, make_chunk
from training.export import write_shards
from training.joint import JointSettings, JointTrainer
from training.model import ToyModel
from training.previews import preview
from training.skeleton import make_skeleton
from training.store import all_chunks, encode_corpus, is_for_vae, latent_statistics, load_shelves, vae_pools
from training.tokenizer import TOKENIZER_FILE
from training.vae import Autoencoder, VaeSettings, train_vae
from training.writer import Writer

RENDER_DEADLINE_S = 900.0
SAVE_MARGIN_S = 8.0  # what is under way on the device, state, previews and shards at the end of a call: 2 s on an H200
PREVIEWS = (256, 512)  # side lengths, px


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Where, how much, and how long a single call may take. Without `init` nothing but the configuration of `model` is
    taken, and the tokenizer is learnt; with `init` all is that checkpoint's, weights included.
    """

    model: Path
    work: Path
    out: Path
    init: Path | None
    limit_s: float
    workers: int
    corpus_scale: float
    vae: VaeSettings
    joint: JointSettings
    batch: BatchSettings


class Run:
    """The stages: tokenizer, corpus (in background processes), VAE, latents, joint training, shards."""

    def __init__(self, settings: RunSettings) -> None:
        self._s = settings
        self._started = time.monotonic()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._chunks = all_chunks(settings.corpus_scale)
        self._folder = settings.work / "checkpoint"
        settings.work.mkdir(parents=True, exist_ok=True)
        settings.out.mkdir(parents=True, exist_ok=True)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True

    def __call__(self) -> bool:
        """Do what is left within the limit; whether the run is complete."""
        make_skeleton(self._s.init or self._s.model, self._folder, learn=self._s.init is None)
        self._say("the tokenizer is there")
        config = load_model_config(self._folder)
        torch.manual_seed(self._s.joint.seed)
        model = ToyModel(config, read_special_tokens(self._folder)).to(self._device)
        if self._s.init is not None:
            with torch.no_grad():
                SafetensorsSource(self._s.init, config).fill(model.slots(), lambda done, total: None)
        self._vae_and_latents(model)
        scale = (config.vae.scale_factor, config.vae.shift_factor) if self._s.init is not None else self._scale()
        vae = replace(config.vae, scale_factor=scale[0], shift_factor=scale[1])
        model.config = config = replace(config, vae=vae)
        shelves = load_shelves(self._s.work, self._chunks, self._device)
        self._say("corpus is on the device")
        trainer = JointTrainer(model, self._s.joint, self._device)
        state = self._s.work / "joint.safetensors"
        if state.exists():
            trainer.load(state)
            self._say(f"goes on at step {trainer.step}")
        batches = Batches(shelves, config, self._s.batch, self._device)
        done = trainer.run(batches, until_s=self._started + self._s.limit_s - SAVE_MARGIN_S, log=self._logger("joint"))
        trainer.save(state)
        trainer.flat.show(trainer.flat.averaged)
        self._write_out(model, config)
        joint = self._s.joint
        self._say(f"stopped at step {trainer.step} of {joint.steps}, {trainer.spent_s:.0f} s of {joint.budget_s:.0f} s")
        return done

    def _write_out(self, model: ToyModel, config: ModelConfig) -> None:
        writer = Writer(self._folder)
        with torch.compiler.set_stance("force_eager"):
            for side in PREVIEWS:
                sheet = preview(model, config, writer, (side, side))
                sheet.save(self._s.out / f"preview-{side}.jpg", quality=85)
        write_shards(model, (config.vae.scale_factor, config.vae.shift_factor), self._s.out)
        for path in (self._folder / TOKENIZER_FILE, *self._s.work.glob("*.jsonl")):
            shutil.copyfile(path, self._s.out / path.name)

    def _vae_and_latents(self, model: ToyModel) -> None:
        path = self._s.work / "vae.safetensors"
        autoencoder = Autoencoder(model.thinker.encoder, model.dit.decoder).to(self._device)
        if self._s.init is not None and not path.exists():
            save_file({k: v.contiguous() for k, v in autoencoder.state_dict().items()}, path)
        marker = self._s.work / "encoded"
        if marker.exists():
            autoencoder.load_state_dict(load_file(path))
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self._s.workers, mp_context=context) as pool:
            futures = {c: pool.submit(make_chunk, c, self._folder, self._s.work) for c in self._missing()}
            if path.exists():
                autoencoder.load_state_dict(load_file(path))
            else:
                self._wait([f for c, f in futures.items() if is_for_vae(c)], "pictures for the VAE")
                pools = vae_pools(self._s.work, self._chunks, self._device)
                train_vae(autoencoder, pools, self._s.vae, self._logger("vae"))
                save_file({k: v.contiguous() for k, v in autoencoder.state_dict().items()}, path)
                self._say("the VAE is trained")
            self._wait(list(futures.values()), "the corpus")
        autoencoder.encoder.eval()
        encode_corpus(self._s.work, self._chunks, autoencoder.encoder, self._device, self._say)
        marker.touch()

    def _missing(self) -> list[Chunk]:
        return [c for c in self._chunks if not (self._s.work / f"{c.name}.npz").exists()]

    def _wait(self, futures: list[Future[Path]], what: str) -> None:
        deadline = time.monotonic() + RENDER_DEADLINE_S
        for done, future in enumerate(futures, 1):
            future.result(timeout=max(0.0, deadline - time.monotonic()))
            if done % 40 == 0 or done == len(futures):
                self._say(f"{what}: {done} of {len(futures)} chunks")

    def _scale(self) -> tuple[float, float]:
        path = self._s.work / "vae_scale.json"
        if not path.exists():
            path.write_text(json.dumps(latent_statistics(self._s.work)), encoding="utf-8")
        scale, shift = json.loads(path.read_text(encoding="utf-8"))
        return float(scale), float(shift)

    def _logger(self, name: str) -> Callable[[int, dict[str, float]], None]:
        path = self._s.work / f"{name}.jsonl"

        def log(step: int, values: dict[str, float]) -> None:
            record = {"step": step, "s": round(time.monotonic() - self._started, 1), **values}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            shown = " ".join(f"{key} {value:.4g}" for key, value in values.items())
            self._say(f"{name} {step}: {shown}")

        return log

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._started:6.1f} s] {text}", flush=True)
