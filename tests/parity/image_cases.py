"""Cases that end in a picture: contexts, every step chained from our own last one, latents, decoded picture."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bagel.contexts import Role
from bagel.model.flow import in_interval
from services.dit.denoiser import Canvas
from tests.parity.context_checks import PICTURE_TENSOR, ObservedRun
from tests.parity.golden import Case
from tests.parity.report import Report
from tests.parity.rig import Rig, contexts


def run_image_case(case: Case, rig: Rig, report: Report) -> None:
    """The whole request, from inputs to the PNG."""
    run = ObservedRun(case, rig, report)
    run.prefill_all()
    _check_contexts(case, run)
    sealed = run.execution.sealed()
    size = run.prepared.output_size
    assert size is not None
    report.same("size", list(size), case.json["image_hw"])
    canvas = rig.denoiser.load(contexts(sealed), rig.pool, size)
    branches = {role.value: c.rope for c in sealed for role in c.roles}
    report.same("rope of the sampling block", branches, case.json["latent_rope"])
    _check_denoising(case, rig, report, canvas)
    run.close()


def check_picture(case: Case, report: Report, picture: Image.Image) -> None:
    """The uint8 picture against the tensor and against the fixture's own PNG."""
    ours = torch.from_numpy(np.array(picture))
    if "image.u8" in case.tensors:
        report.picture("image.u8", ours, case.tensors["image.u8"])
    for name in case.json.get("output_images", []):
        path = case.folder / Path(case.json_path).parent / name
        with Image.open(path) as image:
            report.picture(f"{name}", ours, torch.from_numpy(np.array(image.convert("RGB"))))


def _check_contexts(case: Case, run: ObservedRun) -> None:
    for role in Role:
        end = run.end(role)
        expected = case.json["contexts"][role.value]
        run.report.same(f"{role.value} kv_len", end.tokens, expected["kv_len"])
        run.report.same(f"{role.value} rope", end.rope, expected["rope"])
        run.check_kv(f"ctx.{role.value}", end)
    run.check_updates(case.json["context_updates"])
    run.check_images()
    if "think" in case.json:
        run.report.same("thought", run.execution.text, case.json["think"]["text"])


def _check_denoising(case: Case, rig: Rig, report: Report, canvas: Canvas) -> None:
    settings, times = case.sampler(), case.times()
    got: dict[str, list[Tensor]] = {"x": [], "v": []}
    extra: dict[str, list[Tensor]] = {}
    first: dict[str, Tensor] = {}

    def observe(name: str, value: Tensor) -> None:
        if name.startswith("v."):
            extra.setdefault(name, []).append(value)
        elif not got["x"]:
            first[name] = value

    x = case.start_noise()
    for step, after in canvas.steps(case.start_noise(), settings, observe):
        got["x"].append(step.x)
        got["v"].append(step.velocity)
        x = after
    picture = canvas.decode(x, lambda name, value: first.update({name: value}))
    guided = [settings.guidance.needs_cfg_text and in_interval(t, settings.guidance.interval) for t in times[:-1]]
    ours = {
        "timesteps.all": times, "steps.t": times[:-1], "steps.dt": times[:-1] - times[1:],
        "steps.x": torch.stack(got["x"]), "steps.v": torch.stack(got["v"]),
        "steps.v_cond": torch.stack(extra["v.gen"]), "cfg_steps": torch.tensor(guided).nonzero()[:, 0],
        "latent.final": x, "latent.unpatchified": first["latent.unpatchified"],
        "image.decoded": first["image.decoded"],
        "latent.position_ids": canvas.position_ids, "noise.init": case.start_noise(),
    }  # fmt: skip
    for role in ("cfg_text", "cfg_img"):
        if f"v.{role}" in extra:
            ours[f"cfg_steps.v_{role}"] = torch.stack(extra[f"v.{role}"])
    ours |= _first_step(first, rig, canvas)
    _compare_all(case, report, ours)
    scales = [(s["cfg_text_scale"] > 1.0) for s in case.json["steps"]]
    report.same("guided steps", guided, scales)
    check_picture(case, report, picture)


def _first_step(first: dict[str, Tensor], rig: Rig, canvas: Canvas) -> dict[str, Tensor]:
    """gen's rows of the first evaluation, in the order start marker, latents, end marker."""
    m = canvas.noise_shape[0]
    und, gen = rig.runner.model.mot.norm, rig.denoiser.model.mot.norm_gen
    assert und is not None
    assert gen is not None
    layers = [first[f"layer{i}"] for i in range(rig.config.llm.num_layers)]
    split = len(layers[-1]) * m // (m + 2)  # [B * m latents | B * 2 markers]

    def ordered(rows: Tensor) -> Tensor:
        return torch.cat((rows[split : split + 1], rows[:m], rows[split + 1 : split + 2]))

    last = layers[-1]
    final = torch.cat((und(last[split : split + 1]), gen(last[:m]), und(last[split + 1 : split + 2])))
    return {
        "step0.lm_input": first["lm_input"],
        "step0.layer_out": torch.stack([ordered(rows) for rows in layers]),
        "step0.final_hidden": final,
        "step0.llm2vae_all_rows": rig.denoiser.model.llm2vae(final),
    }


def _compare_all(case: Case, report: Report, ours: dict[str, Tensor]) -> None:
    for name, expected in case.tensors.items():
        if name in ours:
            compare = report.close if expected.is_floating_point() else report.same
            compare(name, ours[name], expected)
        elif not (PICTURE_TENSOR.fullmatch(name) or name.startswith(("ctx.", "think.")) or name == "image.u8"):
            report.missing({name})
