"""Text <-> token ids as the official model sees them, and the text that generated ids mean.

Knows no model. Rules: golden README, section 4. The DiT reads only `read_special_tokens`, which needs no tokenizer.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bagel.errors import ConfigError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as BackendTokenizer

BOS_TEXT = "<|im_start|>"
EOS_TEXT = "<|im_end|>"
IMAGE_START_TEXT = "<|vision_start|>"
IMAGE_END_TEXT = "<|vision_end|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTokens:
    """Ids of the four markers that frame every block."""

    bos: int
    eos: int
    image_start: int
    image_end: int

    @property
    def markers(self) -> tuple[int, int]:
        """Those around a picture's rows."""
        return self.image_start, self.image_end


def read_special_tokens(folder: Path) -> SpecialTokens:
    """Marker ids from the tokenizer files of a checkpoint. Raises ConfigError when one is not there."""
    ids = _added_tokens(folder)
    missing = [t for t in (BOS_TEXT, EOS_TEXT, IMAGE_START_TEXT, IMAGE_END_TEXT) if t not in ids]
    if missing:
        raise ConfigError(f"{folder}: the tokenizer lacks {', '.join(missing)}; tokenizer.json must list them as added")
    return SpecialTokens(
        bos=ids[BOS_TEXT], eos=ids[EOS_TEXT], image_start=ids[IMAGE_START_TEXT], image_end=ids[IMAGE_END_TEXT]
    )


class Tokenizer:
    """The checkpoint's byte-level BPE. Thread-safe: encoding and decoding keep no state."""

    def __init__(self, folder: Path) -> None:
        self.special = read_special_tokens(folder)
        self._backend = _load_backend(folder)

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as it is; special tokens written in it become their ids."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def encode_block(self, text: str) -> list[int]:
        """Ids of a text block: bos, the text, eos."""
        return [self.special.bos, *self.encode(text), self.special.eos]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`, special tokens visible; broken UTF-8 shows as U+FFFD."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def visible_text(self, fed_ids: Sequence[int]) -> str:
        """Text that a decoding run means; `fed_ids` are the fed tokens, the leading bos among them."""
        return visible_part(self.decode(fed_ids))


def visible_part(decoded: str) -> str:
    """What of a decoded run a reader sees: before the first eos, between the first and the second bos."""
    pieces = decoded.split(EOS_TEXT)[0].split(BOS_TEXT)
    return pieces[1] if len(pieces) > 1 else pieces[0]


class TextStream:
    """Turns ids that arrive one by one into text pieces that, joined, equal `Tokenizer.visible_text` of them all.

    Holds back what may still change: an unfinished UTF-8 sequence and the beginning of a marker spelt out by
    ordinary tokens. One stream a request, one thread.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids = [tokenizer.special.bos]
        self._sent = 0
        self._settled = ""  # text of the ids before the window
        self._window_start, self._window = 1, ""

    def push(self, token: int) -> str:
        """Text that became certain with this token; often empty."""
        self._ids.append(token)
        alone = self._tokenizer.decode([token])
        together = self._tokenizer.decode(self._ids[self._window_start :])
        if alone and together == self._window + alone:
            # No byte of the token completes an earlier one, so later tokens cannot change what stands before it.
            self._settled += self._window
            self._window_start, together = len(self._ids) - 1, alone
        self._window = together
        # An unfinished sequence shows as one U+FFFD at the very end.
        text = self._settled + together.removesuffix("\ufffd")
        certain = _certain_length(text)
        if certain <= self._sent:
            return ""
        piece, self._sent = text[self._sent : certain], certain
        return piece

    def finish(self) -> str:
        """The rest of the text, once no token will follow."""
        text = self._tokenizer.visible_text(self._ids)
        piece, self._sent = text[self._sent :], len(text)
        return piece


def _certain_length(text: str) -> int:
    """How much of `text` can no longer be cut away by a marker that is complete or still growing at its end."""
    ends = [i for i in (text.find(BOS_TEXT), text.find(EOS_TEXT)) if i >= 0]
    if ends:
        return min(ends)
    for marker in (BOS_TEXT, EOS_TEXT):
        for size in range(min(len(marker) - 1, len(text)), 0, -1):
            if text.endswith(marker[:size]):
                ends.append(len(text) - size)
                break
    return min(ends, default=len(text))


def _added_tokens(folder: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in ("tokenizer_config.json", "tokenizer.json"):
        path = folder / name
        if not path.exists():
            continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read as JSON ({error})") from error
        try:
            found.update({entry["content"]: int(key) for key, entry in data.get("added_tokens_decoder", {}).items()})
            found.update({entry["content"]: int(entry["id"]) for entry in data.get("added_tokens", [])})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: its added tokens are not listed as a tokenizer lists them") from error
    return found


def _load_backend(folder: Path) -> "BackendTokenizer":
    """`tokenizer.json` as it is; from `vocab.json` and `merges.txt` through transformers where it is missing."""
    path = folder / "tokenizer.json"
    if path.exists():
        from tokenizers import Tokenizer as BackendTokenizer

        try:
            return BackendTokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise ConfigError(f"{path}: not a tokenizer ({error})") from error
    if not (folder / "vocab.json").exists():
        raise ConfigError(f"{folder}: holds no tokenizer.json and no vocab.json with merges.txt")
    from transformers import AutoTokenizer

    backend: BackendTokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False).backend_tokenizer
    return backend
