"""The data planes of one process, and which of a holder's endpoints a reader takes."""

from collections.abc import Sequence

from bagel.errors import IncompleteContextError
from bagel.logs import get_logger
from transport.base import DataPlane, Endpoint, Region


class Planes:
    """Some planes by name. Says in the log what it chose for a holder and why not something better."""

    def __init__(self, planes: Sequence[DataPlane]) -> None:
        self._planes = {plane.capabilities.name: plane for plane in planes}
        self._told: dict[tuple[Endpoint, ...], tuple[str, tuple[str, ...]]] = {}

    @property
    def all(self) -> tuple[DataPlane, ...]:
        """Every plane, best first."""
        return tuple(self._planes.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self._planes)

    def choose(self, endpoints: Sequence[Endpoint]) -> tuple[DataPlane, Endpoint]:
        """The first endpoint that can be read from here, in the holder's order. Raises IncompleteContextError."""
        skipped: list[str] = []
        for endpoint in endpoints:
            plane = self._planes.get(endpoint.transport)
            reason = "not enabled here" if plane is None else plane.unreachable(endpoint.address)
            if plane is not None and reason is None:
                self._tell(tuple(endpoints), endpoint, tuple(skipped))
                return plane, endpoint
            skipped.append(f"{endpoint.transport}: {reason}")
        offered = "; ".join(skipped) or "the holder offers no endpoint at all"
        raise IncompleteContextError(
            f"no way to the holder's pages ({offered}); this DiT reads {', '.join(self._planes)}:"
            " start both with a common --transport"
        )

    def prepare(self, landing: Region) -> None:
        """Make landing memory known to every plane."""
        for plane in self._planes.values():
            plane.prepare(landing)

    def close(self) -> None:
        """Close every plane."""
        for plane in self._planes.values():
            plane.close()

    def _tell(self, endpoints: tuple[Endpoint, ...], chosen: Endpoint, skipped: tuple[str, ...]) -> None:
        """Once for a holder, and again when the choice changes; a better way that failed is a warning."""
        if self._told.get(endpoints) == (chosen.transport, skipped):
            return
        if len(self._told) > 64:  # holders come and go
            self._told.clear()
        self._told[endpoints] = chosen.transport, skipped
        log = get_logger().warning if skipped else get_logger().info
        log("kv_transport", chosen=chosen.transport, secure=chosen.secure, skipped=list(skipped))
