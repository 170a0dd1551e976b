"""Logits -> the next token. Source of the arithmetic: golden README, section 4; top_p is the usual nucleus rule."""

import torch
from torch import Tensor

from bagel.settings import DecodeSettings


class TokenSampler:
    """Greedy at temperature 0, else sampled from the request's own generator on the CPU."""

    def __init__(self, settings: DecodeSettings) -> None:
        self._settings = settings
        self._generator = torch.Generator(device="cpu").manual_seed(settings.seed)

    def pick(self, logits: Tensor) -> int:
        """logits [vocab] float32 -> a token id."""
        if self._settings.temperature <= 0.0:
            return int(logits.argmax())
        # In double and from the maximum down, so that the smallest temperature still divides finite numbers.
        wide = logits.cpu().double()
        probabilities = torch.softmax((wide - wide.max()) / self._settings.temperature, dim=-1)
        if self._settings.top_p < 1.0:
            probabilities = _nucleus(probabilities, self._settings.top_p)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Keep the fewest most likely tokens that reach top_p together; the rest become 0."""
    ordered, order = probabilities.sort(descending=True)
    before = ordered.cumsum(0) - ordered
    ordered[before >= top_p] = 0.0
    return torch.zeros_like(probabilities).scatter_(0, order, ordered)
