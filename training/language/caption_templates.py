"""What captions are filled into. Template lists: see `split`; an entry that stands twice is drawn twice as often.

`{x}` is a body. In bodies `{a}`, `{b}`, `{c}` are things with their article, `{n}` one without, `{rel}` says where a
is seen from b, `{inv}` where b is seen from a, `{at}` and `{bt}` where each is on the canvas, `{number}` and `{things}`
are things alike, `{adj}` is a harmless adjective, and `{bg}` the backdrop.
"""

from training.language.arrangement import Arrangement
from training.language.weaving import crossed, woven

_POLITE = (
    *("", "please ", "can you ", "could you ", "would you ", "can you please ", "could you please "),
    *("I want you to ", "I would like you to ", "I'd like you to ", "now ", "please now "),
)
_VERBS = (
    *("draw ", "paint ", "make ", "create ", "generate ", "show ", "show me ", "sketch ", "design ", "produce "),
    *("render ", "give me ", "draw me ", "make me ", "paint me "),
)
_WISHES = (
    *("I want ", "I would like ", "I'd like ", "I want to see ", "I would like to see ", "I'd like to see "),
    *("I'd love to see ", "I need ", "let me see ", "I want to have ", "I would like to have ", "can I see "),
    *("can I have ", "may I see ", "could I get ", "I wish to see "),
)
_MEDIA = (
    *("picture", "image", "drawing", "illustration", "painting", "sketch", "cartoon", "photo", "rendering"),
    *("graphic", "artwork"),
)
_LOOKS = (
    *("", "", "", "simple ", "neat ", "nice ", "flat ", "clean ", "pretty ", "beautiful ", "lovely ", "plain "),
    *("high quality ", "detailed ", "vibrant ", "colorful ", "well drawn ", "tidy ", "cartoon style ", "cute "),
)
_OF = (" of ", " of ", " of ", " showing ", " with ")
_A_PICTURE = ("", "", *(f"a {look}{medium}{of}" for look in _LOOKS for medium in _MEDIA for of in _OF))
LEADS = woven(
    (
        *("Draw {x}",) * 3,
        *("Generate an image of {x}", "A picture of {x}", "Please paint {x}", "Create {x}", "Paint {x}"),
        *("Create an image of {x}", "Please draw {x}", "An image of {x}", "A drawing of {x}", "Make a picture of {x}"),
        *("A flat illustration of {x}", "A simple picture of {x}", "A cartoon of {x}", "Show me {x}"),
        *("A high quality image of {x}", "A detailed picture of {x}", "A vibrant drawing of {x}", "Can you draw {x}"),
        *("I want {x}", "I would like {x}", "I'd like to see {x}", "Let me see {x}", "A photo of {x}"),
    ),
    (
        *crossed(_POLITE, _VERBS, ("{x}",)),
        *crossed(_WISHES, ("{x}",)),
        *(f"{text}{{x}}" for text in list(crossed(_WISHES, _A_PICTURE))[::37]),
        *(f"{text}{{x}}" for text in list(crossed(_POLITE, _VERBS, _A_PICTURE))[::881]),
        *crossed(("a ",), _LOOKS, _MEDIA, (" of ", " showing "), ("{x}",)),
    ),
    kept=(
        *("I would like a picture of {x}", "Could you paint {x}", "Please generate {x}", "Give me an image of {x}"),
        *("A neat illustration of {x}", "I want to see {x}"),
    ),
)
_NOTHING_BUT = (*("", "", "just ", "only ", "nothing but ", "simply ", "nothing more than ", "nothing else than "),)
_EXACTLY = ("exactly ", "exactly ", "precisely ")
_SEPARATOR = (" {bg}", " {bg}", ", {bg}")
_PLACED = (
    *("", "placed ", "that is ", "directly ", "shown ", "located ", "just ", "positioned ", "which is ", "drawn "),
    *("that is placed ", "which is drawn ", "seen ", "put ", "painted ", "that is shown ", "which is located "),
)
_SIDE_BY_SIDE = ("", " in a row", " side by side", " next to each other", " lined up", " in a line", " together")
_BETWEEN = ("between ", "in the middle between ", "placed between ", "drawn between ", "located between ")
BODIES: dict[Arrangement, tuple[str, ...]] = {
    Arrangement.SINGLE: woven(
        (*("{a} {bg}",) * 6, "{a}, {bg}", "one {n} {bg}", "a {adj} {n} {bg}", "a single {n} {bg}", "just {a} {bg}"),
        (
            *crossed(_NOTHING_BUT, ("a ", "one ", "a single ", "one single "), ("", "{adj} "), ("{n}",), _SEPARATOR),
            *crossed(_EXACTLY, ("one ",), ("", "single ", "{adj} "), ("{n}",), _SEPARATOR),
            *crossed(("a ", "one "), ("simple ", "single ", "nicely drawn ", "well painted "), ("{n}",), _SEPARATOR),
            *crossed(("{a}", "a {adj} {n}"), (" alone", " and nothing else", " by itself", " only"), _SEPARATOR),
        ),
        kept=("exactly one {n} {bg}", "nothing but {a} {bg}", "only one {adj} {n} {bg}"),
    ),
    Arrangement.PAIR: woven(
        (*("{a} {rel} {b} {bg}",) * 7, "{a} {at} and {b} {bt} {bg}","{a} with {b} {inv} it {bg}"),
        (
            *crossed(("{a} ", "one {n} ", "a {adj} {n} "), _PLACED, ("{rel} {b}",), _SEPARATOR),
            *crossed(("just ", "only ", "nothing but ", "two things: "), ("{a} {rel} {b}",), _SEPARATOR),
            *crossed(("{a} {at} ",), ("and", "with", "together with", "and also"), (" {b} {bt}",), _SEPARATOR),
            *crossed(("{a} {at}, {b} {bt}", "{at} {a} and {bt} {b}", "{at} {a}, {bt} {b}"), _SEPARATOR),
            *crossed(("two things, ", "just ", "only "), ("{a} {at} and {b} {bt}",), _SEPARATOR),
            *crossed(("{a} ",), ("and", "with", "together with"), (" {b} {inv} it",), _SEPARATOR),
            *crossed(("{a} and {inv} it ",), ("", "there is ", "also "), ("{b}",), _SEPARATOR),
        ),
        kept=(
            *("{a} just {rel} {b} {bg}", "{a} positioned {rel} {b} {bg}", "{a} which is {rel} {b} {bg}"),
            *("{a} drawn {rel} {b} {bg}", "{a} {at} with {b} {bt} {bg}"),
        ),
    ),
    Arrangement.COUNT: woven(
        (*("{number} {things} {bg}",) * 6, "{number} {things}, {bg}", "exactly {number} {things} {bg}"),
        crossed(
            (*_NOTHING_BUT, *_EXACTLY, "a group of ", "a set of ", "a row of ", "a line of ", "a collection of "),
            ("{number} ",),
            ("", "", "{adj} ", "matching ", "identical ", "similar ", "equal "),
            ("{things}",),
            _SIDE_BY_SIDE,
            _SEPARATOR,
        ),
        kept=("{number} matching {things} {bg}", "just {number} {things} {bg}", "a line of {number} {things} {bg}"),
    ),
    Arrangement.THREE: woven(
        (*("{a}, {b} and {c} {bg}",) * 5, "{a}, {b}, and {c} {bg}", "{c}, {a} and {b} {bg}", "{b}, {c} and {a} {bg}"),
        (
            *crossed(
                ("", "just ", "only ", "three things: ", "a row of ", "a group of ", "a line of ", "nothing but "),
                ("{a}, {b} and {c}", "{a} and {b} and {c}", "{a} together with {b} and {c}", "{a}, then {b}, then {c}"),
                _SIDE_BY_SIDE,
                _SEPARATOR,
            ),
            *crossed(("three things from left to right: ", "from left to right "), ("{a}, {b} and {c}",), _SEPARATOR),
            *crossed(("{b} ",), _BETWEEN, ("{a} and {c}", "{c} and {a}"), _SEPARATOR),
            *crossed(
                ("{a} ",), ("on the left", "at the left"), (", {b} in the ",), ("middle", "center"),
                (" and {c} ", ", {c} "), ("on the right", "at the right"), _SEPARATOR,
            ),
        ),
        kept=(
            *("a row of {a}, {b} and {c} {bg}", "{a}, then {b}, then {c} {bg}"),
            "{a} at the left, {b} in the center and {c} at the right {bg}",
        ),
    ),
    Arrangement.EMPTY: ("{bg}",),
}  # fmt: skip
# Without colours and backdrop: all that is left are kinds and numbers.
SHORT_PAIRS = woven(
    ("{a} and {b}", "{b} and {a}", "{a} next to {b}", "{a} with {b}"),
    (
        *crossed(("{a} ", "just {a} ", "only {a} "), ("and ", "with ", "beside ", "near ", "together with "), ("{b}",)),
        *crossed(("{a} and {b} ",), ("together", "side by side", "next to each other", "near each other")),
    ),
    kept=("{a} near {b}", "{a} together with {b}"),
)
_CHARMS = (
    "pretty",
    "lovely",
    "nice",
    "neat",
    "beautiful",
    "cute",
    "charming",
    "well drawn",
    "colorful",
    "cartoon style",
)
ADJECTIVES_ANIMAL = ("cute", *_CHARMS, "sweet", "friendly", "happy", "adorable", "funny", "cartoon", "tidy")
ADJECTIVES_PERSON = (*_CHARMS, "friendly", "happy", "smiling", "kind", "cheerful", "cartoon")
ADJECTIVES_OTHER = (*_CHARMS, "simple", "plain", "cartoon", "clean", "tidy", "nicely drawn", "flat")
_CLEAR = ("bright", "clear", "clean", "simple", "crisp")
STYLES = woven(
    ("flat illustration", "digital art", "high quality", "simple style", "vibrant colors", "detailed", "cartoon style"),
    (
        *crossed(("flat ", "simple ", "clean ", "bright ", "crisp ", "vector ", "cartoon ", "minimalist "),
                 ("style", "design", "art", "lines", "colors", "illustration", "drawing", "picture")),
        *crossed(("very ", ""), ("beautiful", "pretty", "colorful", "minimalist", "clear", "bright", "neat", "crisp")),
        *(f"{one} and {other}" for one in _CLEAR for other in ("colorful", "tidy", *_CLEAR) if one != other),
        *crossed(("crisp", "clean", "clear"), (" edges", " shapes")),
        *crossed(("children's book ", "picture book ", "comic "), ("style", "illustration", "drawing")),
    ),
    kept=("crisp edges", "vector art", "bright and clear"),
)  # fmt: skip
_QUALITY = (
    "low quality",
    "poor quality",
    "bad quality",
    "out of focus",
    "unsharp",
    "noisy",
    "fuzzy",
    "blurred",
    "blurry",
)
_POOR = (
    "blurry",
    "blurred",
    "fuzzy",
    "unsharp",
    "low quality",
    "poor quality",
    "badly focused",
    "noisy",
    "out of focus",
)
BLURRY = woven(
    (*("blurry, low quality",) * 8, "low quality, out of focus", "blurry", "a blurry picture", "a low quality image"),
    (
        *(f"{one}, {other}" for one in _QUALITY for other in _QUALITY if one != other),
        *crossed(("a ",), _POOR, (" ", ", unsharp ", ", noisy "), ("picture", "image", "photo", "drawing")),
    ),
    kept=("low quality, blurry", "a fuzzy, unsharp image", "a badly focused photo", "unsharp, poor quality"),
)
BLURRY_WITH = woven(
    ("a blurry picture of {x}", "{x}, blurry, low quality", "a blurry image of {x}", "{x}, blurry"),
    (
        *crossed(("a ",), _POOR, (" ",), ("picture", "image", "photo", "drawing", "cartoon"), (" of {x}",)),
        *(f"{{x}}, {one}" for one in _QUALITY),
        *(f"{{x}}, {one}, {other}" for one in _QUALITY for other in _QUALITY if one != other),
    ),
    kept=("{x}, unsharp, poor quality", "a fuzzy picture of {x}"),
)
