"""The gateway's HTTP API as the commands use it: answers, streams, errors as sentences, cancellation.

Knows nothing of terminals and files. Blocking; a command sends one request at a time.
"""

import ipaddress
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from bagel import __version__, defaults
from services.cli.client.sse import Comment, Event, read_events
from services.cli.errors import EXIT_REFUSED, EXIT_UNAVAILABLE, CommandError
from services.cli.options import Connection

Json = dict[str, Any]
CONNECT_S = 5.0
GRACE_S = 15.0  # the server ends a request at its deadline; only a lost one is later than this
CANCEL_S = 3.0


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form."""

    field: str
    name: str
    data: bytes
    mime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A request: JSON, or with files a form. Fields that are None are left out."""

    path: str
    fields: Mapping[str, object]
    files: tuple[Upload, ...] = ()


class Gateway:
    """A server that requests go to. Every method raises CommandError."""

    def __init__(self, http: httpx.Client, connection: Connection) -> None:
        self._http, self._connection = http, connection

    @property
    def url(self) -> str:
        """Its address."""
        return str(self._http.base_url).rstrip("/")

    def whole(self, post: Post) -> Json:
        """The answer to a request."""
        request_id = _new_id()
        with self._cancelling(request_id):
            response = self._http.post(post.path, **self._content(post, request_id, stream=False))
            return self._checked(response)

    @contextmanager
    def stream(self, post: Post) -> Iterator[Iterator[Comment | Event]]:
        """The events of an answer for the time of a block. Ctrl-C anywhere in it cancels the request on the server."""
        request_id = _new_id()
        with self._cancelling(request_id):
            content = self._content(post, request_id, stream=True)
            with self._http.stream("POST", post.path, **content) as response:
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    response.read()
                    self._checked(response)
                    raise self._stranger(response)
                yield read_events(response.iter_bytes())

    def get(self, path: str, *, accept: tuple[int, ...] = (200,)) -> Json:
        """What stands at a path."""
        with self._translated():
            response = self._http.get(path, timeout=CONNECT_S)
        return self._json(response) if response.status_code in accept else self._checked(response)

    def _content(self, post: Post, request_id: str, *, stream: bool) -> Json:
        fields = {**post.fields, "timeout_s": self._connection.timeout_s, "stream": stream or None}
        sent = {name: value for name, value in fields.items() if value is not None}
        headers = {"x-request-id": request_id}
        if not post.files:
            return {"json": sent, "headers": headers}
        files = [(upload.field, (upload.name, upload.data, upload.mime)) for upload in post.files]
        return {"data": {name: _form_value(value) for name, value in sent.items()}, "files": files, "headers": headers}

    def _checked(self, response: httpx.Response) -> Json:
        """The JSON of a good answer. Raises CommandError with the server's own words for any other."""
        body = self._json(response)
        if response.is_success:
            return body
        raise refusal(body, response.status_code, response.headers.get("retry-after"))

    def _json(self, response: httpx.Response) -> Json:
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise self._stranger(response)
        return body

    def _stranger(self, response: httpx.Response) -> CommandError:
        return CommandError(
            f"{response.url} answered {response.status_code} as bagel-serve never does; is {self.url} its address?"
            " Give another with --url or BAGEL_URL",
            exit_status=EXIT_UNAVAILABLE,
        )

    @contextmanager
    def _cancelling(self, request_id: str) -> Iterator[None]:
        try:
            with self._translated():
                yield
        except KeyboardInterrupt:
            # The connection is closed by now, which servers notice; those behind a proxy may not.
            self._cancel(request_id)
            raise

    def _cancel(self, request_id: str) -> None:
        http = self._http
        url = f"{self.url}/v1/requests/{request_id}"
        try:
            # A client of its own: Ctrl-C may have come while the other was in the middle of anything.
            httpx.delete(url, headers=http.headers, timeout=CANCEL_S, trust_env=http.trust_env)
        except httpx.HTTPError:
            return

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The library's errors as sentences."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise CommandError(
                f"no server at {self.url} ({error}); start one with `bagel serve`, or give its address with --url"
                " or BAGEL_URL",
                exit_status=EXIT_UNAVAILABLE,
            ) from None
        except httpx.TimeoutException:
            message = f"{self.url} went silent; look at it with `bagel doctor --url {self.url}`"
            raise CommandError(message, exit_status=EXIT_UNAVAILABLE) from None
        except httpx.HTTPError as error:
            message = f"{self.url} was lost before the answer was whole ({error}); its log says why"
            raise CommandError(message, exit_status=EXIT_UNAVAILABLE) from None


@contextmanager
def connect(connection: Connection) -> Iterator[Gateway]:
    """A gateway for the time of a block; nothing is sent yet. Raises CommandError."""
    try:
        url = httpx.URL(connection.url.rstrip("/").removesuffix("/v1"))
    except httpx.InvalidURL as error:
        raise CommandError(f"--url {connection.url}: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise CommandError(f"--url {connection.url}: must be like http://host:port")
    headers = {"user-agent": f"bagel-serve/{__version__}"}
    if connection.api_key:
        if not (connection.api_key.isascii() and connection.api_key.isprintable()):
            raise CommandError("--api-key: may hold printable ASCII characters alone")
        headers["authorization"] = f"Bearer {connection.api_key}"
    longest_s = (connection.timeout_s or defaults.REQUEST_TIMEOUT_S) + GRACE_S
    with httpx.Client(
        base_url=url, headers=headers, timeout=httpx.Timeout(longest_s, connect=CONNECT_S),
        trust_env=not is_loopback(url.host),  # a proxy of the environment does not reach this machine
    ) as http:  # fmt: skip
        yield Gateway(http, connection)


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def refusal(body: Json, status: int | None = None, retry_after: str | None = None) -> CommandError:
    """The server's error object as a sentence; `status` is None inside a stream."""
    error = body.get("error")
    found = error if isinstance(error, dict) else {}
    message = str(found.get("message") or f"the server answered {status} without a word why")
    match status:
        case 401 | 403:
            message += "; give a key with --api-key or BAGEL_API_KEY"
        case 429 if retry_after:
            message += f"; try again in {retry_after} s"
    lost = status == 503 or found.get("code") in ("not_ready", "stage_unavailable")
    return CommandError(
        message, exit_status=EXIT_UNAVAILABLE if lost else EXIT_REFUSED, code=found.get("code"),
        param=found.get("param"),
    )  # fmt: skip


def _form_value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return json.dumps(list(value))
        case _:
            return str(value)


def _new_id() -> str:
    return f"cli-{secrets.token_hex(8)}"
