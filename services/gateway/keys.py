"""API keys: random secrets of which a file holds only the hashes. Knows no HTTP.

One line a key, JSON: name, SHA-256 of the secret, and limits of its own. A plain hash is enough, since the secret is
256 random bits. Deleting a line ends a key; the gateway sees that within a second.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bagel.errors import ConfigError
from bagel.logs import get_logger

PREFIX = "bagel-"
SECRET_BYTES = 32
LOOK_S = 1.0  # between two looks at the file
MAX_PRESENTED = 512  # characters of what a client shows


class ApiKey(BaseModel):
    """One line of the file. Limits that are absent are the gateway's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    at_once: int | None = Field(default=None, gt=0)


class KeyFile:
    """The keys of one file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path, self._looked_s, self._keys = path, time.monotonic(), read_keys(path)
        self._seen = self._told = self._stamp()  # of what was read, and of what was last tried

    def find(self, presented: str) -> ApiKey | None:
        """The key that a client shows. Takes as long for any wrong one."""
        self._refresh()
        return find_key(self._keys, presented)

    def _refresh(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        if (stamp := self._stamp()) != self._seen:
            try:
                self._keys, self._seen = read_keys(self._path), stamp
            except ConfigError as error:
                # Half written, or gone: nobody gets in by that, and nobody is locked out.
                if stamp != self._told:
                    get_logger().error("keys_unreadable", reason=str(error))
            self._told = stamp

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Every key of a file. Raises ConfigError naming the line."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); make it with `bagel keys new NAME`") from error
    keys = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                keys.append(ApiKey.model_validate_json(line))
            except ValidationError as error:
                wrong = error.errors(include_input=False, include_url=False)[0]
                where = ".".join(map(str, wrong["loc"])) or "the line"
                raise ConfigError(f"{path}, line {number}: {where}: {wrong['msg']}") from None
    names = [key.name for key in keys]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"{path}: there are two keys of the name {twice!r}; remove one of the lines")
    return tuple(keys)


def add_key(path: Path, name: str, *, per_minute: float | None, at_once: int | None) -> str:
    """Append a new key to a file, readable by its owner alone; the secret, which stands nowhere. Raises ConfigError."""
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    try:
        key = ApiKey(name=name, sha256=_digest(secret), per_minute=per_minute, at_once=at_once)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise ConfigError(f"{wrong['loc'][0]}: {wrong['msg']}") from None
    if path.exists() and any(other.name == name for other in read_keys(path)):
        raise ConfigError(f"{path}: there is a key {name!r} already; take another name, or remove its line first")
    try:
        # A last line that was written by hand may lack its end.
        start = "\n" if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n") else ""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
            file.write(start + key.model_dump_json(exclude_none=True) + "\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    return secret


def find_key(keys: Iterable[ApiKey], presented: str) -> ApiKey | None:
    """The key with that secret. Looks at every one of them, whichever fits."""
    digest, found = _digest(presented[:MAX_PRESENTED]), None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
