"""How often and how much at once each key may ask. Pure: time is an argument; knows names and numbers alone."""

from dataclasses import dataclass

from bagel.errors import OverloadedError

BURST_S = 10.0  # of a key's rate may come at once after a pause
BUSY_RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """None is no limit."""

    per_minute: float | None
    at_once: int | None


@dataclass(slots=True)
class _Use:
    tokens: float
    filled_s: float
    running: int = 0


class KeyLimits:
    """What every key has used."""

    def __init__(self) -> None:
        self._used: dict[str, _Use] = {}

    def begin(self, name: str, allowance: Allowance, now_s: float) -> None:
        """A request comes; `end` it afterwards. Raises OverloadedError, and then there is nothing to end."""
        burst = _burst(allowance)
        use = self._used.setdefault(name, _Use(burst, now_s))
        if allowance.at_once is not None and use.running >= allowance.at_once:
            raise OverloadedError(
                f"the key {name!r} has {use.running} requests on their way, at most {allowance.at_once} may be; wait"
                " for one to end",
                retry_after_s=BUSY_RETRY_S,
            )
        if allowance.per_minute is not None:
            rate = allowance.per_minute / 60
            use.tokens, use.filled_s = min(burst, use.tokens + (now_s - use.filled_s) * rate), now_s
            if use.tokens < 1:
                raise OverloadedError(
                    f"the key {name!r} may send {allowance.per_minute:g} requests a minute; send them more slowly",
                    retry_after_s=(1 - use.tokens) / rate,
                )
            use.tokens -= 1
        use.running += 1

    def end(self, name: str) -> None:
        """A request that began is over."""
        self._used[name].running -= 1


def _burst(allowance: Allowance) -> float:
    return max(1.0, (allowance.per_minute or 0.0) * BURST_S / 60)
