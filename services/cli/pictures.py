"""`bagel generate` and `bagel edit`. Imports nothing heavy before a command runs."""

from dataclasses import dataclass
from typing import Annotated

import typer

from services.cli import options
from services.cli.errors import ending
from services.cli.options import URL, Connection, DrawingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What both commands were told besides how to draw."""

    prompt: str
    output: str | None
    count: int
    seed: int | None
    previews: int | None
    saves_previews: bool
    as_json: bool
    inputs: tuple[str, ...] = ()
    mask: str | None = None


def generate(
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    output: options.Output = None,
    count: options.Count = 1,
    seed: options.Seed = None,
    height: options.Height = None,
    width: options.Width = None,
    steps: options.Steps = None,
    negative: options.Negative = None,
    cfg_text_scale: options.TextScale = None,
    cfg_img_scale: options.ImageScale = None,
    cfg_interval: options.Interval = None,
    cfg_renorm_type: options.RenormType = None,
    cfg_renorm_min: options.RenormMin = None,
    timestep_shift: options.Shift = None,
    compression: options.Compression = None,
    think: options.Think = False,
    max_think_tokens: options.MaxThinkTokens = None,
    previews: options.Previews = None,
    save_previews: options.SavePreviews = False,
    url: options.Url = URL,
    api_key: options.ApiKey = None,
    timeout_s: options.TimeoutS = None,
    as_json: options.AsJson = False,
) -> None:
    """Draw pictures from a text. Ctrl-C stops the work on the server too."""
    settings = DrawingSettings(
        height=height, width=width, steps=steps, negative=negative, text_scale=cfg_text_scale,
        image_scale=cfg_img_scale, interval=cfg_interval, renorm_type=cfg_renorm_type, renorm_min=cfg_renorm_min,
        shift=timestep_shift, compression=compression, think=think, max_think_tokens=max_think_tokens,
    )  # fmt: skip
    wanted = _Wanted(
        prompt=prompt, output=output, count=count, seed=seed, previews=previews, saves_previews=save_previews,
        as_json=as_json,
    )  # fmt: skip
    _draw(Connection(url=url, api_key=api_key, timeout_s=timeout_s), wanted, settings)


def edit(
    pictures: Annotated[list[str], typer.Argument(metavar="PICTURE... INSTRUCTION", help="Pictures, then what to do.")],
    output: options.Output = None,
    mask: Annotated[
        str | None, typer.Option("--mask", help="PNG as large as the first picture; its transparent part may change.")
    ] = None,
    count: options.Count = 1,
    seed: options.Seed = None,
    height: options.Height = None,
    width: options.Width = None,
    steps: options.Steps = None,
    negative: options.Negative = None,
    cfg_text_scale: options.TextScale = None,
    cfg_img_scale: options.ImageScale = None,
    cfg_interval: options.Interval = None,
    cfg_renorm_type: options.RenormType = None,
    cfg_renorm_min: options.RenormMin = None,
    timestep_shift: options.Shift = None,
    compression: options.Compression = None,
    think: options.Think = False,
    max_think_tokens: options.MaxThinkTokens = None,
    previews: options.Previews = None,
    save_previews: options.SavePreviews = False,
    url: options.Url = URL,
    api_key: options.ApiKey = None,
    timeout_s: options.TimeoutS = None,
    as_json: options.AsJson = False,
) -> None:
    """Change a picture as a text says, or make one of several. Ctrl-C stops the work on the server too."""
    settings = DrawingSettings(
        height=height, width=width, steps=steps, negative=negative, text_scale=cfg_text_scale,
        image_scale=cfg_img_scale, interval=cfg_interval, renorm_type=cfg_renorm_type, renorm_min=cfg_renorm_min,
        shift=timestep_shift, compression=compression, think=think, max_think_tokens=max_think_tokens,
    )  # fmt: skip
    if len(pictures) < 2:
        raise typer.BadParameter("give a picture and an instruction: bagel edit PICTURE INSTRUCTION")
    wanted = _Wanted(
        prompt=pictures[-1], output=output, count=count, seed=seed, previews=previews, saves_previews=save_previews,
        as_json=as_json, inputs=tuple(pictures[:-1]), mask=mask,
    )  # fmt: skip
    _draw(Connection(url=url, api_key=api_key, timeout_s=timeout_s), wanted, settings)


def _draw(connection: Connection, wanted: _Wanted, settings: DrawingSettings) -> None:
    from services.cli.client.drawing import draw, draw_as_json, previews_or_default, seed_or_random
    from services.cli.client.files import Target, read_picture
    from services.cli.client.gateway import connect
    from services.cli.client.orders import Order

    with ending(as_json=wanted.as_json):
        seed = seed_or_random(wanted.seed)
        order = Order(
            prompt=wanted.prompt, settings=settings, seed=seed, target=Target.of(wanted.output, seed),
            inputs=tuple(read_picture(path) for path in wanted.inputs),
            mask=None if wanted.mask is None else read_picture(wanted.mask), count=wanted.count,
            previews=0 if wanted.as_json else previews_or_default(wanted.previews),
            saves_previews=wanted.saves_previews,
        )  # fmt: skip
        with connect(connection) as gateway:
            if wanted.as_json:
                draw_as_json(gateway, order)
            else:
                draw(gateway, order)
