"""The limits as text for people: `python -m bagel.limits_page` prints docs/limits.md, the API's page shows the tables.

Defaults stand beside their bounds; they come from the settings themselves.
"""

import sys

from bagel import limits
from bagel.limits import Limit
from bagel.settings import (
    DEFAULT_MAX_THINK_TOKENS,
    DEFAULT_MAX_TOKENS,
    EDIT_GUIDANCE,
    TEXT_TO_IMAGE_GUIDANCE,
    DecodeSettings,
    SamplerSettings,
)

AnyLimit = Limit[int] | Limit[float]
_SAMPLER, _DECODE = SamplerSettings(), DecodeSettings()
_TEXT, _EDIT = TEXT_TO_IMAGE_GUIDANCE, EDIT_GUIDANCE
_DEFAULTS: dict[AnyLimit, str] = {
    limits.TIMESTEPS: f"{_SAMPLER.num_timesteps}",
    limits.TIMESTEP_SHIFT: f"{_SAMPLER.timestep_shift:g}",
    limits.TEXT_SCALE: f"{_TEXT.text_scale:g}; an edit {_EDIT.text_scale:g}",
    limits.IMAGE_SCALE: f"{_TEXT.image_scale:g}; an edit {_EDIT.image_scale:g}",
    limits.INTERVAL: "{:g} to {:g}; an edit {:g} to {:g}".format(*_TEXT.interval, *_EDIT.interval),
    limits.RENORM_MIN: f"{_TEXT.renorm_min:g}",
    limits.NEW_TOKENS: f"{DEFAULT_MAX_TOKENS}; a thought {DEFAULT_MAX_THINK_TOKENS}",
    limits.TEMPERATURE: f"{_DECODE.temperature:g}",
    limits.TOP_P: f"{_DECODE.top_p:g}",
    limits.TOP_K: f"{_DECODE.top_k}",
    limits.REPETITION_PENALTY: f"{_DECODE.repetition_penalty:g}",
    limits.TIMEOUT_S: "the most",
    limits.PICTURES_MADE: "1",
    limits.PREVIEWS: "0",
    limits.SEED: "HTTP: random, told in the answer",
}
_HEAD = "| | from | to | default | HTTP | gRPC | beyond it |\n|---|---|---|---|---|---|---|"
_MODEL = """\
| | from | to | HTTP | gRPC | beyond it |
|---|---|---|---|---|---|
| Sides of a picture made, in multiples of `token_pixels` | `token_pixels` | `max_side_px` | `height`, `width`, `size` | `ImageSize` | 400, INVALID_ARGUMENT |
| Tokens of a request's context | | `max_context_tokens` | `messages`, `prompt`, pictures | `segments` | 400, INVALID_ARGUMENT |
"""  # noqa: E501
_INTRO = """\
# Limits

Printed from `bagel/limits.py` by `make limits`; not edited by hand. The HTTP interface and the gRPC services check
against those records. Both ends are allowed. What is beyond is refused with an error that names its field: `param` in
the body of HTTP, `bagel-param` in the trailing metadata of gRPC. Defaults are the official ones; a checkpoint may bring
its own guidance along, which `/v1/models/ID` tells. The fields of HTTP one by one: [`api.md`](api.md).

"""


def tables(*, heading: str) -> str:
    """Every section's table in Markdown under headings like `##`."""
    parts = [f"{heading} {name}\n{_HEAD}\n" + "".join(map(_row, rows)) for name, rows in limits.SECTIONS.items()]
    parts.append(f"{heading} What the model says (`limits` at `/v1/models/ID`)\n{_MODEL}")
    return "\n".join(parts)


def defaults_by_field() -> dict[str, str]:
    """What is taken where HTTP requests leave a field out, by the field's name."""
    found = {name: said for limit, said in _DEFAULTS.items() for name in limit.rest}
    found |= {name: str(DEFAULT_MAX_TOKENS) for name in ("max_tokens", "max_completion_tokens")}
    return found | {"max_think_tokens": str(DEFAULT_MAX_THINK_TOKENS), "seed": "random, told in the answer"}


def page() -> str:
    """The whole of docs/limits.md."""
    return _INTRO + tables(heading="##")


def _row(limit: AnyLimit) -> str:
    what = f"{limit.what} (`{limit.flag}`)" if limit.flag else limit.what
    beyond = [limit.http_status] if limit.rest else []
    beyond += [limit.grpc_status] if limit.grpc else []
    cells = (
        what,
        "" if limit.least is None else _amount(limit.least, ""),
        _amount(limit.most, limit.unit),
        _DEFAULTS.get(limit, ""),
        _names(limit.rest),
        _names(limit.grpc),
        "; ".join(beyond),
    )
    return "| " + " | ".join(cells).replace("|  |", "| |").replace("|  |", "| |") + " |\n"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(name if " " in name and ":" not in name else f"`{name}`" for name in names)


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value // (1 << 20):g} MiB" if value >= 1 << 20 else f"{value // (1 << 10):g} KiB"
    if value == limits.SEED.most:
        return "2^63 - 1"
    return f"{value:,} {unit}".rstrip() if isinstance(value, int) else f"{value:g} {unit}".rstrip()


if __name__ == "__main__":
    sys.stdout.write(page())
