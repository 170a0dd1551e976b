"""The wordings of landscapes, behind things and as whole pictures. Template lists: see `split` and `weaving`."""

from training.language.weaving import crossed, woven
from training.world.scene import Place

_FRONT = ("in front of ", "before ", "against ")
_IN = ("in ", "out in ", "in the middle of ", "in front of ")
_ON = ("on ", "out on ", "in the middle of ")
_UNDER = ("under ", "beneath ", "in front of ", "below ")
_MOOD = ("beautiful ", "lovely ", "quiet ", "peaceful ", "wide ", "nice ", "pretty ", "colorful ", "vibrant ", "calm ")
_MOODS = ("", *_MOOD, "detailed ", "clear ", "endless ")
BEFORE_PLACE: dict[Place, tuple[str, ...]] = {
    Place.SUNSET_MOUNTAINS: woven(
        ("in front of a sunset over mountains", "before a sunset over mountains"),
        (
            *crossed(_FRONT, ("a ",), ("", "colorful ", "lovely "), ("sunset over mountains", "mountain sunset")),
            *crossed((*_FRONT, "with "), ("a sunset over ", "a sunset behind "), ("mountains", "the mountains")),
            *crossed(_FRONT, ("mountains ", "tall mountains ", "the mountains "), ("at sunset",)),
            *crossed(
                ("with ",), ("a sunset over mountains", "a mountain sunset", "mountains at sunset"),
                (" in the background", " behind", " in the back"),
            ),
        ),
        kept=("in front of mountains at sunset", "with mountains at sunset behind"),
    ),
    Place.FUTURISTIC_CITY: woven(
        ("in a futuristic city", "in front of a futuristic city"),
        (
            *crossed((*_IN, "before "), ("a ", "the "), ("", "modern "), ("futuristic ",), ("city", "skyline")),
            *crossed(("with a futuristic ",), ("city", "skyline"), (" behind", " in the background", " in the back")),
        ),
        kept=("before a futuristic skyline",),
    ),
    Place.BEACH: woven(
        ("on the beach", "on a beach", "at the beach"),
        (
            *crossed((*_ON, "at "), ("the ", "a "), ("", "sandy ", "sunny "), ("beach",), ("", " by the sea")),
            *crossed(_ON, ("a beach ",), ("by the sea", "beside the sea", "with sand and sea")),
        ),
        kept=("on a sunny beach",),
    ),
    Place.FOREST: woven(
        ("in a forest", "in the forest", "in a green forest"),
        (
            *crossed(_IN, ("a ", "the "), ("", "green ", "deep ", "quiet "), ("forest",)),
            *crossed(_IN, ("the ",), ("", "green ", "deep ", "quiet "), ("woods",)),
        ),
        kept=("in the middle of a forest",),
    ),
    Place.NIGHT_SKY: woven(
        ("at night under a starry sky", "under a night sky", "under a starry night sky"),
        (
            *crossed(_UNDER, ("a ", "the "), ("", "dark ", "clear ", "lovely "), ("starry ", ""), ("night sky",)),
            *crossed(("at night ",), _UNDER, ("a starry sky", "the starry sky", "a clear starry sky")),
        ),
        kept=("beneath the starry night sky",),
    ),
    Place.SNOW: woven(
        ("in the snow", "on a snowy field"),
        (
            *crossed((*_ON, "in "), ("a ", "the "), ("", "wide ", "quiet "), ("snowy field", "field of snow")),
            *crossed(("in ", "out in ", "in the middle of "), ("the snow", "a snowy landscape", "the snowy landscape")),
        ),
        kept=("out in the snow",),
    ),
    Place.DESERT: woven(
        ("in the desert", "in a desert"),
        (
            *crossed(_IN, ("a ", "the "), ("", "sandy ", "hot ", "dry ", "wide "), ("desert",)),
            *crossed(("in front of ", "before "), ("desert dunes", "the desert dunes", "the dunes of a desert")),
        ),
        kept=("in the middle of the desert",),
    ),
    Place.MEADOW: woven(
        ("on a meadow", "in a meadow"),
        (
            *crossed((*_ON, "in "), ("a ", "the "), ("", "green ", "sunny ", "wide ", "grassy "), ("meadow",)),
            *crossed(_ON, ("the grass of ",), ("a meadow", "the meadow", "a green meadow")),
        ),
        kept=("out on a meadow",),
    ),
}  # fmt: skip
LANDSCAPES: dict[Place, tuple[str, ...]] = {
    Place.SUNSET_MOUNTAINS: woven(
        ("a sunset over mountains", "a beautiful sunset over mountains", "mountains at sunset"),
        (
            *crossed(
                ("a ",), _MOODS, ("sunset ",), ("over ", "behind ", "above ", "with "),
                ("mountains", "the mountains", "tall mountains", "a mountain range"),
            ),
            *crossed(
                ("the ",), ("sun setting ", "evening sun "), ("over ", "behind ", "above "),
                ("mountains", "the mountains", "tall mountains", "the tall mountains"),
            ),
            *crossed(("a ",), _MOODS, ("mountain ",), ("sunset", "landscape at sunset", "range at sunset")),
        ),
        kept=(
            *("a vibrant sunset over tall mountains", "a peaceful sunset above mountains"),
            "the evening sun over the mountains",
        ),
    ),
    Place.FUTURISTIC_CITY: woven(
        ("a futuristic city", "a beautiful futuristic city", "a futuristic city skyline", "a city of the future"),
        (
            *crossed(
                ("a ",), (*_MOODS, "modern "), ("futuristic ", "future ", "science fiction "),
                ("city", "city", "skyline", "cityscape", "metropolis"),
                ("", "", " with high towers", " with tall towers", " with glowing windows"),
            ),
            *crossed(("the skyline of ",), ("a ",), ("futuristic ", "future "), ("city", "metropolis")),
            *crossed(("a ",), _MOODS, ("city ", "metropolis "), ("of the future", "in the far future")),
        ),
        kept=("a future city with high towers", "a vibrant city in the far future", "a futuristic metropolis"),
    ),
    Place.BEACH: woven(
        ("a beach", "a beautiful beach", "a sandy beach", "a beach by the sea"),
        crossed(
            ("a ", "the "), (*_MOODS, "sandy ", "sunny ", "tropical ", "empty "), ("beach",),
            ("", " by the sea", " beside the ocean", " with waves", " and the sea", " with blue water",
             " with sand and sea", " on a sunny day", " beside the sea", " by the ocean", " with sand and waves"),
        ),
        kept=("a sandy beach beside the ocean", "a peaceful beach and the sea", "a wide beach with waves"),
    ),
    Place.FOREST: woven(
        ("a forest", "a beautiful forest", "a green forest", "a forest with tall trees"),
        (
            *crossed(
                ("a ", "the "), (*_MOODS, "green ", "dense ", "deep green "), ("forest",),
                ("", " of green trees", " with many trees", " full of trees", " of tall trees", " landscape", " scene"),
            ),
            *crossed(("", "a walk in ", "a day in "), ("the ",), (*_MOODS, "green "), ("woods", "forest")),
        ),
        kept=("a peaceful forest scene", "a forest of green trees", "a walk in the woods"),
    ),
    Place.NIGHT_SKY: woven(
        ("a night sky", "a starry night sky", "a night sky full of stars", "a beautiful night sky"),
        (
            *crossed(
                ("a ", "the "), (*_MOODS, "dark ", "sparkling "), ("night sky", "starry night sky", "starry night"),
                ("", "", " with stars", " full of stars", " with bright stars", " with sparkling stars"),
            ),
            *crossed(("a ", "the "), (*_MOODS, "dark ", "sparkling "), ("sky at night", "starry sky at night")),
            *crossed(("a ",), _MOOD, ("night under ",), ("a starry sky", "the starry sky", "a sky full of stars")),
        ),
        kept=("a peaceful night under a starry sky", "a sparkling night sky", "a quiet starry night"),
    ),
    Place.SNOW: woven(
        ("a snowy field", "a beautiful snowy field", "a snowy landscape", "a field covered in snow"),
        (
            *crossed(
                ("a ",), (*_MOODS, "cold ", "white "),
                ("snowy field", "snow field", "field of snow", "snowy scene", "winter field", "snowy winter field",
                 "field in winter", "snowy landscape", "snow covered field", "field covered in snow"),
            ),
            *crossed(("a ",), ("wide ", "cold "), ("white ",), ("field of snow", "snowy field", "winter scene")),
            *crossed(("snow ", "white snow ", "cold snow "), ("on a ",), ("", "wide ", "quiet "), ("field",)),
        ),
        kept=("a peaceful snowy scene", "a wide white field of snow", "a cold field in winter"),
    ),
    Place.DESERT: woven(
        ("a desert", "a beautiful desert", "a sandy desert", "a desert with sand dunes"),
        (
            *crossed(
                ("a ", "the "), (*_MOODS, "sandy ", "hot ", "dry ", "empty "), ("desert", "desert landscape"),
                ("", "", " with dunes", " with sand dunes", " under a hot sun", " under the sun"),
            ),
            *crossed(("sand dunes in ", "dunes in "), ("a ", "the "), ("", *_MOOD), ("desert",)),
        ),
        kept=("a desert under a hot sun", "an endless desert", "a quiet desert with dunes"),
    ),
    Place.MEADOW: woven(
        ("a meadow", "a beautiful meadow", "a green meadow", "a meadow with flowers"),
        crossed(
            ("a ", "the "), (*_MOODS, "green ", "sunny ", "grassy "), ("meadow",),
            ("", "", " with flowers", " full of flowers", " with green grass", " on a summer day", " in spring",
             " under a blue sky", " in summer", " on a spring day", " landscape"),
        ),
        kept=("a peaceful meadow", "a wide meadow with green grass", "a meadow on a summer day"),
    ),
}  # fmt: skip
