"""Options that several commands share: where the server is, how pictures are drawn, how text is written.

Bounds are those of `bagel.limits`; what depends on the model served is left to the server, which names the field.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from bagel import defaults
from bagel import limits as bounds
from bagel.settings import Renorm

URL = f"http://{defaults.HTTP_HOST}:{defaults.HTTP_PORT}"
MAX_PREVIEWS, MAX_NEW_TOKENS = bounds.PREVIEWS.most, bounds.NEW_TOKENS.most
_SERVER, _DRAWING, _WRITING = "Server", "Drawing", "Writing"

Url = Annotated[str, typer.Option("--url", envvar="BAGEL_URL", help="Address of the gateway.", rich_help_panel=_SERVER)]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="BAGEL_API_KEY", help="Sent as a bearer token.", rich_help_panel=_SERVER),
]
TimeoutS = Annotated[
    float | None,
    typer.Option("--timeout", min=0.001, help="Seconds until the server gives up.", rich_help_panel=_SERVER),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, with the server's figures.")]
Pictures = Annotated[
    list[str] | None,
    typer.Option("--picture", "-p", help=f"PNG, JPEG or WebP; repeatable, at most {bounds.PICTURES_SENT.most}."),
]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, max=bounds.SEED.most, help="Same seed, same answer; told when not given.")
]
Think = Annotated[bool, typer.Option("--think", help="Let the model think first.")]
MaxThinkTokens = Annotated[
    int | None, typer.Option("--max-think-tokens", min=1, max=MAX_NEW_TOKENS, help="Tokens of the thought.")
]

Output = Annotated[
    str | None,
    typer.Option("--output", "-o", help="PNG, JPEG or WebP file by its ending, - for stdout; default bagel-SEED.png."),
]
Count = Annotated[
    int, typer.Option("--count", "-n", min=1, max=bounds.PICTURES_MADE.most, help="Pictures, of seeds from SEED on.")
]
Height = Annotated[int | None, typer.Option("--height", min=1, help="Pixels, with --width.", rich_help_panel=_DRAWING)]
Width = Annotated[int | None, typer.Option("--width", min=1, help="Pixels, with --height.", rich_help_panel=_DRAWING)]
Steps = Annotated[
    int | None,
    typer.Option("--steps", min=2, max=bounds.TIMESTEPS.most, help="Points of the schedule.", rich_help_panel=_DRAWING),
]
Negative = Annotated[str | None, typer.Option("--negative", help="What to keep away from.", rich_help_panel=_DRAWING)]
TextScale = Annotated[
    float | None, typer.Option("--cfg-text-scale", help="How strongly the text holds.", rich_help_panel=_DRAWING)
]
ImageScale = Annotated[
    float | None, typer.Option("--cfg-img-scale", help="How strongly the pictures hold.", rich_help_panel=_DRAWING)
]
Interval = Annotated[
    tuple[float, float] | None,
    typer.Option("--cfg-interval", help="Guidance works at times between these two.", rich_help_panel=_DRAWING),
]
RenormType = Annotated[
    Renorm | None, typer.Option("--cfg-renorm-type", help="Norm kept by guidance.", rich_help_panel=_DRAWING)
]
RenormMin = Annotated[
    float | None, typer.Option("--cfg-renorm-min", help="Least factor of that norm.", rich_help_panel=_DRAWING)
]
Shift = Annotated[
    float | None, typer.Option("--timestep-shift", help="More steps at high noise.", rich_help_panel=_DRAWING)
]
Compression = Annotated[
    int | None,
    typer.Option(
        "--compression", min=0, max=bounds.COMPRESSION.most, help="Quality of JPEG and WebP.", rich_help_panel=_DRAWING
    ),
]
Previews = Annotated[
    int | None,
    typer.Option(
        "--previews", min=0, max=MAX_PREVIEWS, help="Pictures on the way; default 3 on a terminal in colours, else 0."
    ),
]
SavePreviews = Annotated[bool, typer.Option("--save-previews", help="Save them too, as NAME.preview-1.png and so on.")]

MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", min=1, max=MAX_NEW_TOKENS, help="Longest answer.", rich_help_panel=_WRITING),
]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", min=0, max=2, help="0 takes the likeliest token.", rich_help_panel=_WRITING),
]
TopP = Annotated[
    float | None, typer.Option("--top-p", max=1, help="Of the likeliest tokens.", rich_help_panel=_WRITING)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Which server, and how long to wait for it."""

    url: str = URL
    api_key: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingSettings:
    """How to draw; absent ones take the server's defaults."""

    height: int | None = None
    width: int | None = None
    steps: int | None = None
    negative: str | None = None
    text_scale: float | None = None
    image_scale: float | None = None
    interval: tuple[float, float] | None = None
    renorm_type: Renorm | None = None
    renorm_min: float | None = None
    shift: float | None = None
    compression: int | None = None
    think: bool = False
    max_think_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingSettings:
    """How to write; absent ones take the server's defaults."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    think: bool = False
    max_think_tokens: int | None = None
