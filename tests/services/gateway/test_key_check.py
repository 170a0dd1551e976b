"""API keys: a file of hashes, OpenAI's errors, limits for each key; health stays open."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from structlog.testing import capture_logs
from typer.testing import CliRunner

from bagel.errors import ConfigError
from bagel.limits import RETRY_AFTER_S
from services.cli.main import app as command
from services.gateway.errors import rate_limited
from services.gateway.key_check import CALLER, KeyCheck, Keys
from services.gateway.key_limits import Allowance
from services.gateway.keys import KeyFile, add_key, find_key, read_keys

NO_LIMITS = Allowance(per_minute=None, at_once=None)


def application(path: Path, allowance: Allowance = NO_LIMITS) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.state.held, app.state.go_on = asyncio.Event(), asyncio.Event()

    async def who(request: Request) -> Response:
        return JSONResponse(getattr(request.state, CALLER, None))

    async def hold(request: Request) -> Response:
        app.state.held.set()
        await app.state.go_on.wait()
        return JSONResponse(None)

    app.add_api_route("/v1/models", who, methods=["GET", "POST"])
    app.add_api_route("/v1/hold", hold, methods=["POST"])
    for open_path in ("/livez", "/readyz", "/metrics", "/v1/pictures/a.png", "/"):
        app.add_api_route(open_path, who, methods=["GET"])
    app.add_middleware(KeyCheck, Keys(KeyFile(path), allowance))
    return app


def client(app: FastAPI, key: str | None = None) -> httpx.AsyncClient:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", headers=headers)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.jsonl"


async def test_a_request_without_a_valid_key_is_401_as_openais_client_expects(path: Path) -> None:
    secret = add_key(path, "ann", per_minute=None, at_once=None)
    app = application(path)
    for wrong in (None, "", "x", secret[:-1], secret + "x", "é" * 600, secret.upper()):
        headers = [] if wrong is None else [(b"authorization", f"Bearer {wrong}".encode())]
        async with client(app) as http:
            answer = await http.get("/v1/models", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
        assert secret not in error["message"]
    async with client(app, secret) as http:
        assert (await http.get("/v1/models")).json() == "ann"


@pytest.mark.parametrize("open_path", ["/livez", "/readyz", "/metrics", "/v1/pictures/a.png", "/"])
async def test_health_pages_and_signed_links_need_no_key(path: Path, open_path: str) -> None:
    add_key(path, "ann", per_minute=None, at_once=None)
    async with client(application(path)) as http:
        assert (await http.get(open_path)).status_code == 200


async def test_a_key_is_held_to_its_rate_its_own_before_the_gateways(path: Path) -> None:
    slow = add_key(path, "slow", per_minute=1, at_once=None)
    other = add_key(path, "other", per_minute=None, at_once=None)
    app = application(path, Allowance(per_minute=600, at_once=None))
    async with client(app, slow) as http:
        assert (await http.post("/v1/models")).status_code == 200
        refused = await http.post("/v1/models")
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert 50 <= int(refused.headers["retry-after"]) <= 60
        # Looking costs nothing.
        assert (await http.get("/v1/models")).status_code == 200
    async with client(app, other) as http:
        for _ in range(50):
            assert (await http.post("/v1/models")).status_code == 200


async def test_what_a_key_has_on_its_way_is_bounded_and_one_that_ends_makes_room(path: Path) -> None:
    secret = add_key(path, "ann", per_minute=None, at_once=1)
    app = application(path)
    async with client(app, secret) as http:
        held = asyncio.create_task(http.post("/v1/hold"))
        await app.state.held.wait()
        assert (await http.post("/v1/models")).status_code == 429
        assert not held.done()
        app.state.go_on.set()
        assert (await held).status_code == 200
        assert (await http.post("/v1/models")).status_code == 200


async def test_a_key_whose_line_is_deleted_ends_without_a_restart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.keys.LOOK_S", 0.0)
    gone = add_key(path, "gone", per_minute=None, at_once=None)
    stays = add_key(path, "stays", per_minute=None, at_once=None)
    keys = KeyFile(path)
    assert keys.find(gone) is not None
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "gone" not in line))
    assert keys.find(gone) is None
    assert keys.find(stays) is not None


def test_a_file_that_cannot_be_read_is_told_once_and_its_old_keys_stay(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.keys.LOOK_S", 0.0)
    stays = add_key(path, "stays", per_minute=None, at_once=None)
    whole, keys = path.read_text(), KeyFile(path)
    with capture_logs() as logs:
        for broken in ("half a li", None, "half a line more"):
            path.unlink() if broken is None else path.write_text(broken)
            for _ in range(3):
                assert keys.find(stays) is not None
        path.write_text(whole)
        assert keys.find(stays) is not None
    assert [line["event"] for line in logs] == ["keys_unreadable"] * 3
    assert "line 1" in logs[0]["reason"]
    assert "cannot be read" in logs[1]["reason"]


def test_a_key_is_added_behind_a_last_line_without_an_end(path: Path) -> None:
    add_key(path, "ann", per_minute=None, at_once=None)
    path.write_text(path.read_text().rstrip("\n"))
    add_key(path, "bob", per_minute=None, at_once=None)
    assert [key.name for key in read_keys(path)] == ["ann", "bob"]


def test_a_file_holds_hashes_and_only_its_owner_reads_it(path: Path) -> None:
    secret = add_key(path, "ann", per_minute=30, at_once=2)
    assert secret.removeprefix("bagel-") not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    (key,) = read_keys(path)
    assert (key.name, key.per_minute, key.at_once) == ("ann", 30, 2)
    assert find_key([key], secret) == key


@pytest.mark.parametrize("line", ["{", '{"name": "a"}', '{"name": "a b", "sha256": "%s"}' % ("0" * 64), "[]"])
def test_a_broken_file_names_its_line(path: Path, line: str) -> None:
    add_key(path, "ann", per_minute=None, at_once=None)
    path.write_text(path.read_text() + line)
    with pytest.raises(ConfigError, match="line 2"):
        read_keys(path)


def test_the_command_prints_a_key_once_and_lists_names(path: Path) -> None:
    made = CliRunner().invoke(command, ["keys", "new", "ann", "--file", str(path), "--at-once", "3"])
    assert made.exit_code == 0
    assert find_key(read_keys(path), made.stdout.splitlines()[0]) is not None
    listed = CliRunner().invoke(command, ["keys", "list", "--file", str(path)])
    assert listed.stdout == "ann  3 at once\n"
    again = CliRunner().invoke(command, ["keys", "new", "ann", "--file", str(path)])
    assert again.exit_code == 78
    assert len(path.read_text().splitlines()) == 1
    assert set(json.loads(path.read_text())) == {"name", "sha256", "at_once"}


def test_retry_after_is_never_more_than_openais_client_honours() -> None:
    for seconds, told in ((0.0, "1"), (1.2, "2"), (1e9, str(int(RETRY_AFTER_S.most)))):
        assert rate_limited("", code="", retry_after_s=seconds).headers() == {"retry-after": told}
