"""Sentences around questions: whether something is so, and who wants to know it. Template lists: see `weaving`."""

from training.language.weaving import crossed, woven

_YES_NO = (
    *("would you say ", "would you say that ", "do you think ", "do you think that ", "do you believe that "),
    *("is it true that ", "is it right that ", "is it correct that ", "am I right that ", "would you agree that "),
    *("can you tell me if ", "can you tell me whether ", "could you tell me whether ", "could you tell me if "),
    *("tell me if ", "tell me whether ", "please tell me if ", "please tell me whether ", "please say whether "),
    *("I want to know if ", "I want to know whether ", "I wonder if ", "I wonder whether ", "do you know whether "),
    *("can you see that ", "can you see whether ", "I would like to know whether ", "say whether "),
)
_WH = (
    *("tell me ", "please tell me ", "can you tell me ", "could you tell me ", "please say ", "I want to know "),
    *(
        "I would like to know ",
        "I'd like to know ",
        "do you know ",
        "I wonder ",
        "say ",
        "can you say ",
        "let me know ",
    ),
    *("would you tell me ", "can you please tell me "),
)
_IN = ("", "", " in the picture", " in this picture", " in the image", " here", " in this image")
NOWHERE = ("",)
_NAME = ("name ", "please name ", "give ", "can you name ", "could you name ")
_ASKS = (
    "can",
    "could",
    "would",
    "do",
    "does",
    "is",
    "am",
    "what",
    "which",
    "where",
    "how",
    "who",
    "in",
    "on",
    "of",
    "at",
)


def _marked(text: str) -> str:
    return text[0].upper() + text[1:] + ("?" if text.split()[0] in _ASKS else ".")


def _says_twice(text: str) -> bool:
    """Whether it names the picture twice."""
    return sum(text.count(word) for word in (" picture", " image", " here")) > 1 or text.count(" see ") > 1


def asked(
    plain: tuple[str, ...],
    direct: tuple[str, ...],
    told: tuple[str, ...],
    kept: tuple[str, ...],
    *,
    named: tuple[str, ...] = (),
    within: tuple[str, ...] = _IN,
) -> tuple[str, ...]:
    """`direct` are questions, `told` what they ask for as part of a sentence, `named` what can be named."""
    rest = (*crossed((*plain, *direct), within), *crossed(_WH, told, within), *crossed(_NAME, named, within))
    fit = (text for text in rest if not _says_twice(text))
    return woven(tuple(map(_marked, plain)), map(_marked, fit), kept)


def whether(
    plain: tuple[str, ...], direct: tuple[str, ...], told: tuple[str, ...], kept: tuple[str, ...]
) -> tuple[str, ...]:
    """`direct` are questions, `told` what may be true. No capitals."""
    rest = (
        *(t for t in crossed((*plain, *direct), _IN) if not _says_twice(t) and t != "is {a}"),
        *(t for t in crossed(_YES_NO, told, _IN) if not _says_twice(t)),
    )
    return woven(tuple(map(_marked, plain)), map(_marked, rest), kept)
