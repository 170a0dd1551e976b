"""Who calls over gRPC: the API key in a call's metadata, under the same limits as over REST."""

from collections.abc import Iterator
from contextlib import contextmanager

from bagel.rpc import ServicerContext
from services.gateway.key_check import Keys

KEY = "authorization"


class Callers:
    """Looks at metadata; without keys everybody may ask."""

    def __init__(self, keys: Keys | None) -> None:
        self._keys = keys

    def check(self, context: ServicerContext) -> None:
        """Raise ApiError unless the call shows a valid key."""
        if self._keys is not None:
            self._keys.find(_shown(context))

    @contextmanager
    def admitted(self, context: ServicerContext) -> Iterator[str]:
        """The name of the call's key, for a block that counts against its limits. Raises ApiError."""
        if self._keys is None:
            yield ""
            return
        with self._keys.admitted(_shown(context)) as name:
            yield name


def _shown(context: ServicerContext) -> str:
    found = [value for key, value in context.invocation_metadata() or () if key == KEY and isinstance(value, str)]
    return found[0] if found else ""
