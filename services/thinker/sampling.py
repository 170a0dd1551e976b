"""Logits -> the next token. Source of the arithmetic: golden README, section 4; the rest as transformers has it.

First the repetition penalty, which acts on greedy picks too; then temperature, the likeliest `top_k`, and among those
the nucleus `top_p`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from bagel.settings import DecodeSettings


class TokenSampler:
    """Greedy at temperature 0, else sampled from the request's own generator on the CPU. `prompt` counts as said."""

    def __init__(self, settings: DecodeSettings, prompt: Sequence[int] = ()) -> None:
        self._settings, self._prompt = settings, list(prompt)
        self._generator = torch.Generator(device="cpu").manual_seed(settings.seed)
        self._said: Tensor | None = None  # [vocab] bool, beside the logits

    def pick(self, logits: Tensor) -> int:
        """logits [vocab] float32 -> a token id, which counts as said from now on."""
        penalty = self._settings.repetition_penalty
        if penalty == 1.0:
            return self._pick(logits)
        if self._said is None:
            self._said = torch.zeros_like(logits, dtype=torch.bool)
            self._said[self._prompt] = True
        token = self._pick(torch.where(self._said, _penalized(logits, penalty), logits))
        self._said[token] = True
        return token

    def _pick(self, logits: Tensor) -> int:
        if self._settings.temperature <= 0.0:
            return int(logits.argmax())
        # In double and from the maximum down, so that the smallest temperature still divides finite numbers.
        wide = logits.cpu().double()
        scaled = (wide - wide.max()) / self._settings.temperature
        if 0 < self._settings.top_k < len(scaled):
            scaled = _likeliest(scaled, self._settings.top_k)
        probabilities = torch.softmax(scaled, dim=-1)
        if self._settings.top_p < 1.0:
            probabilities = _nucleus(probabilities, self._settings.top_p)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


def _penalized(logits: Tensor, penalty: float) -> Tensor:
    """Positive logits divided by the penalty, negative ones multiplied."""
    return torch.where(logits > 0, logits / penalty, logits * penalty)


def _likeliest(logits: Tensor, top_k: int) -> Tensor:
    """Keep the top_k largest and what equals the last of them; the rest become -inf."""
    return logits.masked_fill(logits < logits.topk(top_k).values[-1], -torch.inf)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Keep the fewest most likely tokens that reach top_p together; the rest become 0."""
    ordered, order = probabilities.sort(descending=True)
    before = ordered.cumsum(0) - ordered
    ordered[before >= top_p] = 0.0
    return torch.zeros_like(probabilities).scatter_(0, order, ordered)
