"""What the picture commands ask for, and the requests that say it: of the images endpoints, or a chat completion.

The chat completion is the only stream that tells a thought while it grows. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.cli.client.files import InputPicture, Target
from services.cli.client.gateway import Post
from services.cli.errors import CommandError
from services.cli.options import DrawingSettings

CHAT, GENERATIONS, EDITS = "/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"
Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Pictures of one prompt; with inputs it is an edit. Picture i has seed + i."""

    prompt: str
    settings: DrawingSettings
    seed: int
    target: Target
    inputs: tuple[InputPicture, ...] = ()
    mask: InputPicture | None = None
    count: int = 1
    previews: int = 0
    saves_previews: bool = False
    history: tuple[Fields, ...] = field(default=())  # messages before this one

    def __post_init__(self) -> None:
        if (self.settings.height is None) != (self.settings.width is None):
            raise CommandError("give both --height and --width, or neither")
        if self.target.to_stdout and self.count > 1:
            raise CommandError("-o -: takes one picture; name a file for several")

    def images_post(self) -> Post:
        """For the images endpoints."""
        sizes = self.settings
        fields = {
            **_drawing_fields(sizes),
            "prompt": self.prompt,
            "n": self.count,
            "seed": self.seed,
            "size": None if sizes.height is None else f"{sizes.width}x{sizes.height}",
            "output_format": self.target.format,
            "output_compression": sizes.compression,
            "partial_images": self.previews or None,
        }
        uploads = [picture.upload("image[]") for picture in self.inputs]
        uploads += [] if self.mask is None else [self.mask.upload("mask")]
        return Post(path=EDITS if uploads else GENERATIONS, fields=fields, files=tuple(uploads))

    def chat_post(self, index: int) -> Post:
        """For a chat completion of one of the pictures. Raises CommandError."""
        if self.mask is not None or self.settings.compression is not None:
            option = "--compression" if self.mask is None else "--mask"
            raise CommandError(f"{option}: with --think only together with --json")
        fields = {
            **_drawing_fields(self.settings),
            "messages": [*self.history, self.message()],
            "modalities": ["image"],
            "seed": self.seed + index,
            "height": self.settings.height,
            "width": self.settings.width,
            "output_format": self.target.format,
        }
        return Post(path=CHAT, fields=fields)

    def message(self) -> Fields:
        """The prompt and its pictures as a message."""
        return user_message(self.prompt, self.inputs)


def user_message(text: str, pictures: tuple[InputPicture, ...]) -> Fields:
    """A message of pictures and a text."""
    parts = [*(picture.part() for picture in pictures), {"type": "text", "text": text}]
    return {"role": "user", "content": parts}


def _drawing_fields(settings: DrawingSettings) -> dict[str, object]:
    return {
        "num_inference_steps": settings.steps,
        "negative_prompt": settings.negative,
        "cfg_text_scale": settings.text_scale,
        "cfg_img_scale": settings.image_scale,
        "cfg_interval": None if settings.interval is None else list(settings.interval),
        "cfg_renorm_type": None if settings.renorm_type is None else settings.renorm_type.value,
        "cfg_renorm_min": settings.renorm_min,
        "timestep_shift": settings.shift,
        "think": settings.think or None,
        "max_think_tokens": settings.max_think_tokens,
    }
