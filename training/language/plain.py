"""Questions and answers without a picture: capitals, colours of things, small sums, greetings, the model itself."""

from enum import Enum
from random import Random

from training.language.facts import CAPITALS, COLORS_OF_THINGS
from training.language.nouns import NUMBERS
from training.language.split import Split, choose
from training.language.surface import as_question, sentence

MAX_TERM = 10
_WORDS_SHARE = 0.3  # of the sums that are spelled out


class PlainKind(Enum):
    """What a plain question is about."""

    CAPITAL = "capital"
    COLOR = "color"
    SUM = "sum"
    DIFFERENCE = "difference"
    GREETING = "greeting"
    IDENTITY = "identity"
    ABILITY = "ability"


CAPITAL_TEMPLATES = (
    "What is the capital of {country}?",
    "What is the capital of {country}?",
    "What's the capital of {country}?",
    "Which city is the capital of {country}?",
    "Tell me the capital of {country}.",
    "Name the capital of {country}.",
    "What is the capital city of {country}?",
    "Do you know the capital of {country}?",
    "The capital of {country} is?",
    "What is {country}'s capital?",
    "Please name the capital of {country}.",
    "Can you tell me the capital of {country}?",
    "Which capital does {country} have?",
    "What city is {country}'s capital?",
)
COLOR_TEMPLATES = (
    "What color is {thing}?",
    "What is the color of {thing}?",
    "Which color is {thing}?",
    "Which color does {thing} have?",
    "What color does {thing} have?",
    "Tell me the color of {thing}.",
    "Name the color of {thing}.",
    "Do you know the color of {thing}?",
    "Please tell me the color of {thing}.",
    "What color is {thing} usually?",
    "Can you name the color of {thing}?",
    "Of what color is {thing}?",
)
SUM_TEMPLATES = (
    "What is {a} {plus} {b}?",
    "What is {a} {plus} {b}?",
    "How much is {a} {plus} {b}?",
    "Calculate {a} {plus} {b}.",
    "Compute {a} {plus} {b}.",
    "{a} {plus} {b}?",
    "Tell me {a} {plus} {b}.",
    "What does {a} {plus} {b} make?",
    "What's {a} {plus} {b}?",
    "Please calculate {a} {plus} {b}.",
    "Solve {a} {plus} {b}.",
    "Can you compute {a} {plus} {b}?",
    "What is the result of {a} {plus} {b}?",
)
IDENTITY_TEMPLATES = (
    "Who are you?",
    "What are you?",
    "What is your name?",
    "Tell me who you are.",
    "Please introduce yourself.",
    "Which model are you?",
    "Tell me about yourself.",
)
ABILITY_TEMPLATES = (
    "What can you do?",
    "What can you do for me?",
    "How can you help me?",
    "What are you able to do?",
    "Tell me what you can do.",
    "Can you help me?",
    "What are your abilities?",
)
IDENTITY = "I am a tiny BAGEL model, trained on a small drawn world."
ABILITY = "I can draw simple pictures, change them, describe them and answer short questions."
GREETINGS: dict[str, tuple[str, ...]] = {
    "Hello! How can I help you?": ("Hello", "Hi", "Hello!", "Hi there!", "Hey", "Hi!", "Good morning!", "Hello there!"),
    "I am fine, thank you.": (
        "How are you?",
        "How are you today?",
        "How do you do?",
        "Are you well?",
        "How is it going?",
    ),
    "You are welcome.": ("Thank you", "Thanks", "Thank you!", "Thank you very much!", "Thanks a lot!", "Many thanks!"),
    "Goodbye! See you soon.": ("Goodbye", "Bye", "Bye!", "See you later!", "Good night!", "Bye bye!"),
}


def plain(rng: Random, split: Split, kind: PlainKind | None = None) -> tuple[str, str]:
    """A question or a greeting, and the reply."""
    match kind or rng.choice(tuple(PlainKind)):
        case PlainKind.CAPITAL:
            country = rng.choice(tuple(CAPITALS))
            question = choose(rng, CAPITAL_TEMPLATES, split).format(country=country)
            answer = sentence(f"the capital of {country} is {CAPITALS[country]}")
        case PlainKind.COLOR:
            thing = rng.choice(tuple(COLORS_OF_THINGS))
            question = choose(rng, COLOR_TEMPLATES, split).format(thing=thing)
            answer = sentence(f"{thing} is {COLORS_OF_THINGS[thing]}")
        case PlainKind.SUM:
            a, b = rng.randint(0, MAX_TERM), rng.randint(0, MAX_TERM)
            question, answer = _asked(rng, split, (a, b), ("+", "plus")), f"{a} + {b} = {a + b}."
        case PlainKind.DIFFERENCE:
            b, a = sorted((rng.randint(0, MAX_TERM), rng.randint(0, MAX_TERM)))
            question, answer = _asked(rng, split, (a, b), ("-", "minus")), f"{a} - {b} = {a - b}."
        case PlainKind.GREETING:
            answer = rng.choice(tuple(GREETINGS))
            question = choose(rng, GREETINGS[answer], split)
        case PlainKind.IDENTITY:
            question, answer = choose(rng, IDENTITY_TEMPLATES, split), IDENTITY
        case PlainKind.ABILITY:
            question, answer = choose(rng, ABILITY_TEMPLATES, split), ABILITY
    return as_question(question, rng), answer


def _asked(rng: Random, split: Split, terms: tuple[int, int], signs: tuple[str, str]) -> str:
    """A sum in digits, with the sign or its word, or all in words."""
    template = choose(rng, SUM_TEMPLATES, split)
    if rng.random() < _WORDS_SHARE:
        return template.format(a=NUMBERS[terms[0]], b=NUMBERS[terms[1]], plus=signs[1])
    sign = signs[1] if rng.random() < _WORDS_SHARE else signs[0]
    return template.format(a=terms[0], b=terms[1], plus=sign)
