"""Cases of single components: tokenizer, resize rules, unit tensors, the VAE alone."""

import hashlib
import zlib
from typing import Any

import torch
from PIL import Image

from bagel.config import ModelConfig, ResizeRule
from bagel.contexts import SYSTEM_PROMPT_IMAGE, SYSTEM_PROMPT_TEXT
from bagel.images import resize, resized_size
from bagel.model.embeddings import (
    grid_position_ids,
    latent_to_tokens,
    sincos_table,
    time_features,
    tokens_to_latent,
)
from bagel.model.mot import MotLayer
from bagel.model.rope import rope_tables
from bagel.model.vae import sample_latent, to_uint8, unscale_latent
from bagel.model.vit import patchify, pixels_tensor
from services.thinker.runner import pixels_u8
from tests.parity.golden import Case
from tests.parity.report import Report
from tests.parity.rig import Rig


def run_tokenizer_case(case: Case, rig: Rig, report: Report) -> None:
    special, named = rig.tokenizer.special, case.json["new_token_ids"]
    report.same("bos", special.bos, named["bos_token_id"])
    report.same("eos", special.eos, named["eos_token_id"])
    report.same("image start", special.image_start, named["start_of_image"])
    report.same("image end", special.image_end, named["end_of_image"])
    for entry in case.json["encode"]:
        report.same(f"ids of {entry['text']!r}", rig.tokenizer.encode(entry["text"]), entry["ids"])
        report.same(f"text of {entry['text']!r}", rig.tokenizer.decode(entry["ids"]), entry["decoded"])
    for entry in case.json["decode"]:
        report.same(f"text of {entry['ids']}", rig.tokenizer.decode(entry["ids"]), entry["decoded"])


def run_sizes_case(case: Case, rig: Rig, report: Report) -> None:
    """Sizes only: a list of entries with a set of results per set of rules."""
    for entry in case.json if isinstance(case.json, list) else case.json["sizes"]:
        width, height = entry["wh"]
        for rules in ("checkpoint", "official"):
            vae, vit = _rules(rig.config, rules)
            once = resized_size(width, height, vae)
            ours = {
                "vae": once, "vae_twice": resized_size(*once, vae), "vit_after_vae": resized_size(*once, vit),
                "vit_direct": resized_size(width, height, vit),
            }  # fmt: skip
            for name, expected in entry[rules].items():
                report.same(f"{width}x{height} {rules} {name}", list(ours[name]), expected)


def run_transforms_case(case: Case, rig: Rig, report: Report) -> None:
    for entry in case.json["images"]:
        rgb = case.image(entry["file"])
        report.same(f"{entry['name']} rgb", hashlib.sha256(rgb.tobytes()).hexdigest(), entry["rgb_bytes_sha256"])
        for rules in ("checkpoint", "official"):
            vae, vit = _rules(rig.config, rules)
            once = resize(rgb, vae)
            ours = {
                "vae": once, "vae_applied_twice": resize(once, vae), "vit_after_vae": resize(once, vit),
                "vit_direct": resize(rgb, vit),
            }  # fmt: skip
            for name, expected in entry[rules].items():
                _check_transform(report, f"{entry['name']} {rules} {name}", ours[name], expected)
            for name in ("vae", "vit_after_vae"):
                tensor = f"{entry['name']}.{name}_u8"
                if rules == "checkpoint" and tensor in case.tensors:
                    report.same(tensor, pixels_u8(ours[name]), case.tensors[tensor])


def run_vae_case(case: Case, rig: Rig, report: Report) -> None:
    encoder, decoder, config = rig.runner.model.encoder, rig.denoiser.model.decoder, rig.config.vae
    device = rig.pool.device
    image = resize(case.image(case.json["input_images"][0]), rig.config.vae_resize)
    report.same("size", [image.height, image.width], case.json["image_hw"])
    pixels = pixels_tensor(image.tobytes(), image.height, image.width)[None].to(device)
    seen: dict[str, torch.Tensor] = {"encode.pixels": pixels}
    mean, logvar = encoder(pixels, lambda mid: seen.update({"encode.mid": mid}))
    latent = sample_latent(mean, logvar, case.tensors["encode.posterior_noise"].to(device), config)
    decoded = decoder(unscale_latent(latent, config), lambda mid: seen.update({"decode.mid": mid}))
    random = decoder(unscale_latent(case.tensors["random.latent"].to(device), config))
    seen |= {"encode.mean": mean, "encode.logvar": logvar, "encode.latent": latent, "decode.latent": latent}
    seen |= {"decode.image": decoded, "random.image": random}
    for name, expected in case.tensors.items():
        if name == "decode.image_u8":
            report.picture(name, to_uint8(decoded).cpu(), expected)
        elif name in seen:
            report.close(name, seen[name], expected)
        elif name not in ("encode.posterior_noise", "random.latent"):
            report.missing({name})


def run_units_case(case: Case, rig: Rig, report: Report) -> None:
    """Inputs are the tensors that name no result: times, positions, rows, pictures."""
    given, config = case.tensors, rig.config
    device = rig.pool.device
    report.same("prompt", SYSTEM_PROMPT_TEXT, case.json["system_prompts"]["understanding"])
    report.same("prompt", SYSTEM_PROMPT_IMAGE, case.json["system_prompts"]["generation"])
    for name, ids in case.json["system_prompt_ids"].items():
        report.same(f"ids of {name}", rig.tokenizer.encode(case.json["system_prompts"][name]), ids)
    rows, columns = case.params["grid_hw"]
    cos, sin = rope_tables(given["rope.positions"], config.llm.head_dim, config.llm.rope_theta)
    layer = rig.runner.model.mot.layers[0]
    assert isinstance(layer, MotLayer)
    assert layer.gen is not None
    rms = given["rms.x"].to(device)
    tokens = latent_to_tokens(given["latent.image"], config.latent_patch_size)
    grid = [side // config.latent_patch_size for side in given["latent.image"].shape[1:]]
    report.same("tokens and back", tokens_to_latent(tokens, *grid, config.latent_patch_size), given["latent.image"])
    ours = {
        "time.features": time_features(given["time.t"]),
        "time.embedding": rig.runner.model.latents.time_embedding(given["time.t"].to(device)),
        "rope.cos": cos, "rope.sin": sin,
        "grid.latent_ids": grid_position_ids(rows, columns, config.max_latent_size),
        "grid.vit_ids": grid_position_ids(rows, columns, config.vit_grid_side),
        "grid.latent_ids_official": grid_position_ids(rows, columns, ModelConfig().max_latent_size),
        "grid.vit_ids_official": grid_position_ids(rows, columns, ModelConfig().vit_grid_side),
        "patchify.patches": patchify(given["patchify.image"], config.vit.patch_size),
        "latent.tokens": tokens,
        "sincos.official_latent_values": _official_table()[given["sincos.official_latent_rows"]],
        "rms.y_layer0_input_layernorm": layer.und.input_norm(rms),
        "rms.y_layer0_input_layernorm_moe_gen": layer.gen.input_norm(rms),
    }  # fmt: skip
    inputs = {"time.t", "rope.positions", "patchify.image", "latent.image", "sincos.official_latent_rows", "rms.x"}
    report.missing(set(given) - set(ours) - inputs)
    for name, value in ours.items():
        if name in given:
            (report.close if value.is_floating_point() else report.same)(name, value, given[name])


def _check_transform(report: Report, name: str, image: Image.Image, expected: dict[str, Any]) -> None:
    report.same(f"{name} size", [image.width, image.height], expected["size_wh"])
    data = image.tobytes()
    report.same(f"{name} sha256", hashlib.sha256(data).hexdigest(), expected["resized_bytes_sha256"])
    report.same(f"{name} crc32", zlib.crc32(data), expected["resized_bytes_crc32"])
    pixels = pixels_tensor(data, image.height, image.width)
    report.same(f"{name} shape", list(pixels.shape), expected["tensor_shape"])
    means = torch.tensor([float(pixels.double().mean()), *pixels.double().mean(dim=(1, 2)).tolist()])
    report.close(name, means, torch.tensor([expected["mean"], *expected["mean_per_channel"]]))


def _rules(config: ModelConfig, which: str) -> tuple[ResizeRule, ResizeRule]:
    chosen = config if which == "checkpoint" else ModelConfig()
    return chosen.vae_resize, chosen.vit_resize


def _official_table() -> torch.Tensor:
    official = ModelConfig()
    return sincos_table(official.max_latent_size, official.llm.hidden_size)
