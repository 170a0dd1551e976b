"""What the gallery shows: prompts as a new user types them, with their settings. Draws and writes nothing."""

from dataclasses import dataclass

_STEPS, _SIDE, _SMALL, _LARGE = 30, 512, 256, 768


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture to be made; `of` names the entry whose picture is changed."""

    name: str
    prompt: str
    width: int = _SIDE
    height: int = _SIDE
    steps: int = _STEPS
    seed: int = 3
    of: str | None = None
    negative: str | None = None
    think: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A text to be answered; `of` names the entry whose picture it is about."""

    prompt: str
    of: str | None = None
    think: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Entries under one heading, in their order."""

    title: str
    entries: tuple[Drawing | Talk, ...]


_DETAIL = "Describe this image in detail"
_BLURRY = "blurry, low quality"

CHAPTERS = (
    Chapter(
        title="Pictures from a text",
        entries=(
            Drawing(name="cat", prompt="A cute cat", height=_SMALL, width=_SMALL),
            Drawing(
                name="sunset", prompt="A beautiful sunset over mountains", width=_LARGE, height=_LARGE, negative=_BLURRY
            ),
            Drawing(name="city", prompt="A futuristic city", width=_LARGE, height=_LARGE, negative=_BLURRY),
            Drawing(name="woman", prompt="A woman in a red dress", height=_SMALL, width=_SMALL),
            Drawing(name="dog", prompt="A brown dog sitting on the beach"),
            Drawing(name="car", prompt="A yellow car in the snow", height=_SMALL, width=_SMALL),
            Drawing(name="forest", prompt="A forest", width=384, height=256),
            Drawing(name="night", prompt="A starry night sky", width=_SIDE, height=320),
        ),
    ),
    Chapter(
        title="Things side by side, and how many",
        entries=(
            Drawing(
                name="beside",
                prompt="A red circle to the left of a blue square on a white background",
                height=_SMALL,
                width=_SMALL,
            ),
            Drawing(
                name="above",
                prompt="A green star above a purple heart on a yellow background",
                height=_SMALL,
                width=_SMALL,
            ),
            Drawing(name="three-hearts", prompt="three pink hearts on a black background", height=_SMALL, width=_SMALL),
            Drawing(
                name="three-things",
                prompt="a blue diamond, a green tree and a red house on a white background",
                height=_SMALL,
                width=384,
            ),
            Drawing(name="pets", prompt="An orange cat to the left of a white dog on a green background"),
        ),
    ),
    Chapter(
        title="Changes",
        entries=(
            Drawing(name="cat-standing", prompt="Make the cat stand up", of="cat", height=_SMALL, width=_SMALL),
            Drawing(
                name="woman-blue", prompt="Let the woman wear a blue dress", of="woman", height=_SMALL, width=_SMALL
            ),
            Drawing(name="car-removed", prompt="Remove the car", of="car", height=_SMALL, width=_SMALL),
            Drawing(name="square-yellow", prompt="Make the square yellow", of="beside", height=_SMALL, width=_SMALL),
            Drawing(name="pets-blue", prompt="Change the background to blue", of="pets"),
        ),
    ),
    Chapter(
        title="With thinking",
        entries=(
            Drawing(
                name="think-flower",
                prompt="A purple flower on a white background",
                think=True,
                height=_SMALL,
                width=_SMALL,
            ),
            Drawing(name="think-men", prompt="Two men in green shirts", think=True, height=_SMALL, width=_SMALL),
            Talk(prompt="What is 3 plus 4?", think=True),
        ),
    ),
    Chapter(
        title="Pictures in words",
        entries=(
            Talk(prompt=_DETAIL, of="cat"),
            Talk(prompt=_DETAIL, of="sunset"),
            Talk(prompt=_DETAIL, of="beside"),
            Talk(prompt=_DETAIL, of="pets"),
            Talk(prompt="What is the woman wearing?", of="woman-blue"),
            Talk(prompt="How many hearts are there?", of="three-hearts"),
        ),
    ),
    Chapter(
        title="Texts alone",
        entries=(
            Talk(prompt="What is the capital of France?"),
            Talk(prompt="What is 7 + 5?"),
            Talk(prompt="Hello!"),
            Talk(prompt="Who are you?"),
        ),
    ),
    Chapter(
        title="Outside its world",
        entries=(
            Drawing(name="zebra", prompt="A zebra in a kitchen", height=_SMALL, width=_SMALL),
            Drawing(name="astronaut", prompt="An astronaut riding a horse", height=_SMALL, width=_SMALL),
        ),
    ),
)
