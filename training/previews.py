"""Pictures that the model in training draws for fixed prompts, as one contact sheet."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from PIL import Image
from torch import Tensor

from bagel.config import ModelConfig
from bagel.model.embeddings import tokens_to_latent
from bagel.model.flow import Velocities, guide, timesteps
from bagel.model.vae import to_uint8, unscale_latent
from bagel.settings import Guidance
from training.blocks import Block, Kept, RowSlots, geometry
from training.model import Group, ToyModel
from training.writer import PROMPT_SLOTS, Writer

PROMPTS = (
    "A cute cat", "A beautiful sunset over mountains", "A futuristic city", "A dog standing on a beach",
    "A woman in a blue dress", "A man in a red shirt on a white background", "A red car in the snow", "A forest",
    "A red circle on a white background", "A blue star on a yellow background", "A green heart on a black background",
    "A purple triangle on a gray background", "A red circle to the left of a blue square on a white background",
    "A yellow star above a pink heart on a black background", "three yellow stars on a black background",
    "two green diamonds on a white background", "A house next to a tree", "A black cat sitting on a meadow",
    "An orange cat to the left of a brown dog on a green background", "A white flower on a blue background",
    "a red square, a blue circle and a green star on a white background", "A night sky with a moon", "A beach",
    "blurry, low quality",
)  # fmt: skip


@torch.no_grad()
def preview(
    model: ToyModel, config: ModelConfig, writer: Writer, size: tuple[int, int], prompts: Sequence[str] = PROMPTS,
    points: int = 20,
) -> Image.Image:  # fmt: skip
    """A sheet of one picture of (width, height) a prompt, with guidance 4 and seed 0."""
    device = next(model.parameters()).device
    rows, columns = size[1] // 16, size[0] // 16
    slots = [writer.slots([(Block.PROMPT, prompt)], PROMPT_SLOTS) for prompt in prompts]
    ids = torch.stack([torch.from_numpy(i) for i, _ in slots]).long().to(device)
    blocks = torch.stack([torch.from_numpy(b) for _, b in slots]).long().to(device)
    row_slots = RowSlots(noise=rows * columns, source=0, patches=0, text=PROMPT_SLOTS)
    yes = torch.ones(len(prompts), dtype=torch.bool, device=device)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(prompts), rows * columns, config.token_channels, generator=generator).to(device)

    def group(t: float, *, prompted: bool, state: Tensor) -> Group:
        kept = Kept(yes & prompted, yes, yes)
        return Group(
            slots=row_slots, geometry=geometry(row_slots, ids, blocks, kept), text_ids=ids,
            grid=(rows, columns), noisy=state, times=torch.full((len(prompts), 1), t, device=device),
        )  # fmt: skip

    times = timesteps(points, 3.0).tolist()
    for t, following in pairwise(times):
        v, u = model.velocities([group(t, prompted=True, state=x), group(t, prompted=False, state=x)])
        v = torch.stack(
            [guide(Velocities(gen=a, cfg_text=b), Guidance(image_scale=1.0)) for a, b in zip(v, u, strict=True)]
        )
        x = x - v * (t - following)
    return _sheet(model, config, x, rows, columns)


def _sheet(model: ToyModel, config: ModelConfig, x: Tensor, rows: int, columns: int) -> Image.Image:
    across = max(1, 1536 // (columns * 16))
    sheet = Image.new("RGB", (across * columns * 16, -(-x.shape[0] // across) * rows * 16))
    for index, tokens in enumerate(x):
        latent = tokens_to_latent(tokens, rows, columns, config.latent_patch_size)
        pixels = to_uint8(model.dit.decoder(unscale_latent(latent, config.vae)[None]))
        at = (index % across * columns * 16, index // across * rows * 16)
        sheet.paste(Image.fromarray(pixels.cpu().numpy()), at)
    return sheet
