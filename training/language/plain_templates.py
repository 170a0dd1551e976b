"""The wordings of questions without a picture, of greetings and of what is said to the model. Lists: see `split`."""

from training.language.weaving import crossed, woven

_TELL = (
    *("tell me ", "please tell me ", "can you tell me ", "could you tell me ", "do you know ", "I want to know "),
    *("please say ", "say ", "I would like to know ", "can you say ", "would you tell me ", "let me know "),
)
_NAME = ("name ", "please name ", "can you name ", "give me ", "could you name ", "please give me ")
_DO = ("", "please ", "can you ", "could you ", "would you ", "can you please ")
_ASKS = (
    "can",
    "could",
    "would",
    "do",
    "what",
    "what's",
    "which",
    "how",
    "who",
    "who's",
    "are",
    "of",
    "{a}",
    "the",
    "in",
)


def _marked(text: str) -> str:
    return text[0].upper() + text[1:] + ("?" if text.split()[0] in _ASKS else ".")


def _asked(plain: tuple[str, ...], rest: tuple[str, ...], kept: tuple[str, ...]) -> tuple[str, ...]:
    return woven(tuple(map(_marked, plain)), map(_marked, rest), kept)


CAPITAL_TEMPLATES = _asked(
    ("what is the capital of {country}", "what's the capital of {country}", "which city is the capital of {country}"),
    (
        *crossed(("what is ", "what's ", *_TELL, *_NAME), ("the capital ", "the capital city "), ("of {country}",)),
        *crossed(("what is ", "what's ", *_TELL, *_NAME), ("{country}'s capital", "{country}'s capital city")),
        *crossed(("what ", "which "), ("city is ",), ("the capital of {country}", "{country}'s capital")),
        *crossed(("which capital ", "what capital ", "which capital city "), ("does {country} have",)),
        *crossed(_TELL, ("what the capital of {country} is", "which city is the capital of {country}")),
        *crossed(_TELL, ("which capital {country} has", "what {country}'s capital is")),
        *("the capital of {country} is", "the capital city of {country} is", "how is the capital of {country} called"),
    ),
    ("Which capital does {country} have?", "What city is {country}'s capital?"),
)
COLOR_TEMPLATES = _asked(
    ("what color is {thing}", "what is the color of {thing}", "which color is {thing}"),
    (
        *crossed(("what ", "which "), ("color does {thing} have", "color is {thing}"), ("", " usually", " normally")),
        *crossed(("of ", "in "), ("what ", "which "), ("color is {thing}",), ("", " usually")),
        *crossed((*_TELL, *_NAME), ("the color of {thing}",)),
        *crossed(_TELL, ("what ", "which "), ("color {thing} is", "color {thing} has"), ("", " usually")),
        *crossed(("what is ", "what's "), ("the usual ", "the normal ", "the "), ("color of {thing}",)),
    ),
    ("Can you name the color of {thing}?", "Of what color is {thing}?"),
)
SUM_TEMPLATES = _asked(
    ("what is {a} {plus} {b}", "how much is {a} {plus} {b}", "{a} {plus} {b}", "calculate {a} {plus} {b}"),
    (
        *crossed(_DO, ("calculate ", "compute ", "solve ", "work out "), ("{a} {plus} {b}",)),
        *crossed(_DO, ("calculate ", "compute ", "find "), ("the result of {a} {plus} {b}",)),
        *crossed((*_TELL, *_NAME), ("the result of {a} {plus} {b}",)),
        *crossed(_TELL, ("what {a} {plus} {b} is", "how much {a} {plus} {b} is", "what {a} {plus} {b} makes")),
        *crossed(("tell me ", "please tell me ", "can you tell me ", "what's ", "what is "), ("{a} {plus} {b}",)),
        *crossed(("what ", "how much "), ("does {a} {plus} {b} ",), ("make", "give", "equal")),
        *(
            "what is the result of {a} {plus} {b}",
            "what do you get for {a} {plus} {b}",
            "what's the result of {a} {plus} {b}",
        ),
    ),
    ("Can you compute {a} {plus} {b}?", "What is the result of {a} {plus} {b}?"),
)
IDENTITY_TEMPLATES = _asked(
    ("who are you", "what are you", "what is your name"),
    (
        *crossed(_TELL, ("who you are", "what you are", "your name", "which model you are", "what your name is")),
        *crossed(
            ("tell me ", "please tell me ", "can you tell me ", "could you tell me "),
            ("about yourself", "something about you"),
        ),
        *crossed(_DO, ("introduce yourself", "describe yourself", "name yourself")),
        *(
            "what model are you",
            "which model are you",
            "what kind of model are you",
            "what's your name",
            "how are you called",
        ),
        *("who am I talking to", "who is this", "are you a model", "what kind of model is this", "what is this model"),
    ),
    ("Which model are you?", "Tell me about yourself."),
)
ABILITY_TEMPLATES = _asked(
    ("what can you do", "what can you do for me", "how can you help me"),
    (
        *crossed(
            _TELL, ("what you can do", "what you are able to do", "how you can help me", "what you can help me with")
        ),
        *crossed(
            _TELL, ("what you can do for me", "your abilities", "what your abilities are", "about your abilities")
        ),
        *crossed((*_NAME, "list ", "please list "), ("your abilities", "what you can do", "your skills")),
        *crossed(
            ("what are you able to ", "what can you "), ("do", "do for me", "do here", "help me with", "help with")
        ),
        *crossed(("what are your ", "what's your "), ("abilities", "skills")),
        *crossed(
            ("can you ", "could you ", "would you ", "are you able to "), ("help me", "do something for me", "help")
        ),
        *(
            "how can you help",
            "how could you help me",
            "what could you do for me",
            "what do you do",
            "what are you good at",
        ),
        *("what can I ask you", "what can I do with you", "how do you help me", "what can I do here"),
    ),
    ("Can you help me?", "What are your abilities?"),
)
_NAMES = ("", "", " there", " you", " my friend", " BAGEL", " model", " again", " everyone")
_MARKS = ("", "!", ".", "!!")
_HI = ("hello", "hi", "hey", "good morning", "good day", "good evening", "good afternoon", "hi and hello", "greetings")
_NOW = ("", " today", " now", " this morning", " my friend", " there", " doing")
_BYE = ("goodbye", "bye", "bye bye", "good night", "see you", "see you later", "see you soon", "farewell", "good bye")
_THANKS = (
    "thank you",
    "thanks",
    "many thanks",
    "thank you very much",
    "thanks a lot",
    "thank you so much",
    "thanks so much",
)


def _said(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text[0].upper() + text[1:] for text in texts)


GREETINGS: dict[str, tuple[str, ...]] = {
    "Hello! How can I help you?": woven(
        ("Hello", "Hi", "Hi there!", "Hey", "Good morning!"),
        _said(tuple(crossed(_HI, _NAMES, _MARKS))),
        ("Hello there!",),
    ),
    "I am fine, thank you.": woven(
        ("How are you?", "How are you today?"),
        _said(
            (
                *crossed(("", "hello, ", "hi, ", "and "), ("how are you",), _NOW, ("?",)),
                *crossed(("", "so, ", "hey, "), ("how is it going", "how do you do", "how do you feel"),
                         ("", " today", " now"), ("?",)),
                *crossed(("are you ",), ("well", "fine", "doing well", "feeling well", "ok"), ("", " today"), ("?",)),
            )
        ),
        ("How is it going?",),
    ),
    "You are welcome.": woven(
        ("Thank you", "Thanks", "Thank you very much!"),
        _said(tuple(crossed(_THANKS, ("", " for your help", " for the help", " for that"), ("", "!", ".")))),
        ("Many thanks!",),
    ),
    "Goodbye! See you soon.": woven(
        ("Goodbye", "Bye", "See you later!"),
        _said(tuple(crossed(_BYE, ("", "", " my friend", " BAGEL", " everyone", " for now", " then"), ("", "!", ".")))),
        ("Bye bye!",),
    ),
}  # fmt: skip
