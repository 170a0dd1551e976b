"""Scenes as pictures. Owns sizes, places on the canvas, shadows and blur; what things look like is drawn elsewhere.

The same scene and size give the same bytes. A thing's look depends on its own fields and the canvas size alone, the
backdrop's on the backdrop and the canvas size: scenes that differ in one thing have the same pixels elsewhere.
"""

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from training.world.cats import draw_cat
from training.world.dogs import draw_dog
from training.world.objects import draw_object
from training.world.pen import Pen, soft_spot
from training.world.people import draw_person
from training.world.places import draw_place
from training.world.plain import draw_plain
from training.world.scene import PEOPLE, SHAPES, Backdrop, Kind, Pose, Scene, Thing
from training.world.shapes import draw_shape
from training.world.tones import tones_of

_SCALE = 2  # things are drawn this much larger, then reduced
_OUTLINE = 0.012  # of a thing's height
# Room for a thing, and its shadow, as a share of its height.
_WIDTH = dict.fromkeys(SHAPES, 1.25) | {
    Kind.CAT: 1.4,
    Kind.DOG: 1.4,
    Kind.CAR: 1.4,
    Kind.HOUSE: 1.25,
    Kind.WOMAN: 0.64,
    Kind.MAN: 0.68,
    Kind.FLOWER: 0.74,
    Kind.TREE: 0.94,
}
_SHADOW_WIDTH = {
    Kind.CAT: 1.2,
    Kind.DOG: 1.2,
    Kind.CAR: 1.6,
    Kind.HOUSE: 1.3,
    Kind.WOMAN: 0.64,
    Kind.MAN: 0.64,
    Kind.FLOWER: 0.6,
    Kind.TREE: 0.7,
}
_SHADOW_WIDTH_SITTING = 0.85
_SHADOWS = 0.75  # the share of things other than shapes that cast one
_SHADOW_OPACITY = 0.36


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sprite:
    """A drawn thing (RGBA) and where its upper left corner goes, in pixels of the canvas."""

    image: Image.Image
    left: int
    top: int


def render(scene: Scene, width: int, height: int) -> Image.Image:
    """The scene as an RGB image."""
    picture = _backdrop(scene.backdrop, width, height)
    for thing in scene.things:
        sprite = _sprite(thing, width, height)
        _cast_shadow(picture, thing)
        picture.paste(sprite.image, (sprite.left, sprite.top), sprite.image)
    return _blurred(picture, scene.backdrop.seed) if scene.blurry else picture


def mask(thing: Thing, width: int, height: int) -> Image.Image:
    """Where the thing draws (mode L, 255 inside); its shadow does not count."""
    sprite = _sprite(thing, width, height)
    canvas = Image.new("L", (width, height))
    canvas.paste(sprite.image.getchannel("A"), (sprite.left, sprite.top))
    return canvas


def _backdrop(backdrop: Backdrop, width: int, height: int) -> Image.Image:
    if backdrop.place is not None:
        return draw_place(backdrop.place, backdrop.seed, width, height)
    if backdrop.color is None:
        raise ValueError("a backdrop has a place or a colour")
    return draw_plain(backdrop.color, backdrop.seed, width, height)


def _sprite(thing: Thing, width: int, height: int) -> _Sprite:
    """Snapped to whole pixels, so that a moved thing keeps its exact look."""
    tall = thing.size * min(width, height)
    wide = round(tall * _WIDTH[thing.kind]) + 2
    high = round(tall * 1.06) + 2
    rng = Random(thing.seed)
    tones = tones_of(thing.color, rng)
    shape = thing.kind in SHAPES
    image = Image.new("RGBA", (wide * _SCALE, high * _SCALE), (*(tones.base if shape else tones.ink), 0))
    pen = Pen(
        image=image,
        unit=tall * _SCALE * (1.0 if shape else 1 - 3.5 * _OUTLINE),
        left=image.width / 2,
        top=image.height / 2,
        ink=tones.ink,
        line=max(1.0, tall * _SCALE * _OUTLINE),
    )
    pose = thing.pose or Pose.SITTING
    if shape:
        draw_shape(thing.kind, pen, tones, rng)
    elif thing.kind is Kind.CAT:
        draw_cat(pose, pen, tones, rng)
    elif thing.kind is Kind.DOG:
        draw_dog(pose, pen, tones, rng)
    elif thing.kind in PEOPLE:
        draw_person(thing.kind, pen, tones, rng)
    else:
        draw_object(thing.kind, pen, tones, rng)
    left, top = round(thing.x * width - wide / 2), round(thing.y * height - high / 2)
    return _Sprite(image=image.reduce(_SCALE), left=left, top=top)


def _cast_shadow(picture: Image.Image, thing: Thing) -> None:
    """A soft dark spot on the ground below a thing."""
    if thing.kind in SHAPES or Random(thing.seed + 1).random() > _SHADOWS:
        return
    tall = thing.size * min(picture.size)
    wide = tall * (_SHADOW_WIDTH_SITTING if thing.pose is Pose.SITTING else _SHADOW_WIDTH[thing.kind])
    size = (round(wide) + 2, round(tall * 0.17) + 2)
    fade = soft_spot().point([round(value * _SHADOW_OPACITY) for value in range(256)]).resize(size)
    left = round(thing.x * picture.width) - size[0] // 2
    top = round(thing.y * picture.height + tall * 0.47) - size[1] // 2
    picture.paste((20, 18, 30), (left, top, left + size[0], top + size[1]), fade)


def _blurred(picture: Image.Image, seed: int) -> Image.Image:
    """Out of focus, pale and noisy."""
    rng = Random(seed)
    radius = rng.uniform(0.025, 0.04) * min(picture.size)
    soft = ImageEnhance.Contrast(picture.filter(ImageFilter.GaussianBlur(radius))).enhance(rng.uniform(0.65, 0.8))
    swing = rng.randint(14, 26)
    grain = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height))
    grain = grain.point([value * swing // 255 for value in range(256)])
    return ImageChops.add(soft, Image.merge("RGB", (grain, grain, grain)), offset=-(swing // 2))
