"""What every stage's process does alike to be measured: requests counted by how they end, figures served over HTTP.

Knows nothing of what a stage measures. Metrics may be observed from any thread; reading them changes nothing.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, start_http_server

from bagel.errors import ConfigError
from bagel.logs import bound_logger
from bagel.rpc import STATUS_OF

# From a token on an accelerator to a long picture on a CPU.
SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(slots=True)
class Ending:
    """How a request ends as far as is known yet; `answered` once its caller has everything, whatever comes after."""

    answered: bool = False


class RequestCounter:
    """`NAME{task, outcome}`: requests that are over."""

    def __init__(self, name: str, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            name, "Requests that are over, by how they ended", ("task", "outcome"), registry=registry
        )

    @contextmanager
    def counted(self, task: str, deadline_s: float) -> Iterator[Ending]:
        """Count and log what a block ends with. `deadline_s` is on the monotonic clock."""
        started, ending, outcome, log = time.monotonic(), Ending(), "ok", bound_logger()
        try:
            yield ending
        except BaseException as error:
            outcome = _outcome(error, late=time.monotonic() >= deadline_s)
            raise
        finally:
            outcome = "ok" if ending.answered else outcome
            self._counter.labels(task, outcome).inc()
            log.info("request_over", task=task, outcome=outcome, seconds=round(time.monotonic() - started, 3))


def serve_metrics(bind: str, registry: CollectorRegistry) -> str:
    """Serve `/metrics` at host:port, port 0 for any, until the process ends; the address. Raises ConfigError.

    A daemon thread answers, also while the event loop is busy.
    """
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--metrics-bind {bind}: must be HOST:PORT, like 0.0.0.0:9464")
    try:
        server, _ = start_http_server(int(port), host.strip("[]"), registry)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--metrics-bind {bind}: cannot listen there; is the port taken? ({error})") from error
    return f"{host}:{server.server_port}"


def _outcome(error: BaseException, *, late: bool) -> str:
    """A label of few values: a status's name in small letters, `cancelled`, or `failed`."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "deadline_exceeded" if late else "cancelled"
    status = next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), None)
    return "failed" if status is None else status.name.lower()
