"""Bodies are bounded while they come: announced or not, slow or many."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Message, Scope

from bagel.limits import Limit
from services.gateway import bodies
from services.gateway.bodies import BoundedBodies, hold_of
from services.gateway.errors import ApiError

MOST = 1000


def application() -> FastAPI:
    app = FastAPI(openapi_url=None)

    async def read(request: Request) -> Response:
        return JSONResponse(len(await request.body()))

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return JSONResponse(error.body(), status_code=error.status)

    app.add_api_route("/", read, methods=["POST"])
    app.add_exception_handler(ApiError, refuse)
    app.add_middleware(BoundedBodies, MOST)
    return app


async def post(app: FastAPI, body: object, path: str = "/") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        return await client.post(path, content=body)  # type: ignore[arg-type]


async def pieces(size: int, count: int) -> object:
    for _ in range(count):
        yield bytes(size)


async def test_bodies_within_the_bound_pass_and_larger_ones_are_413() -> None:
    app = application()
    assert (await post(app, bytes(MOST))).json() == MOST
    assert (await post(app, bytes(MOST + 1))).status_code == 413
    assert (await post(app, pieces(100, 10))).json() == MOST
    assert (await post(app, pieces(100, 11))).status_code == 413


async def test_what_announces_too_much_is_refused_before_it_is_read() -> None:
    sent: list[Message] = []

    async def never() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        sent.append(message)

    for announced in (str(MOST + 1), "600000000", "9" * 5000):
        sent.clear()
        headers = [(b"content-length", announced.encode())]
        scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}
        await application()(scope, never, send)
        assert sent[0]["status"] == 413
        assert (b"connection", b"close") in sent[0]["headers"]


async def test_all_bodies_together_are_bounded_and_count_until_their_requests_are_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "BODIES_BYTES", Limit(what="", most=1500))
    served, go_on = asyncio.Event(), asyncio.Event()

    async def hold(request: Request) -> Response:
        length = len(await request.body())
        served.set()
        await go_on.wait()
        return JSONResponse(length)

    app = application()
    app.add_api_route("/held", hold, methods=["POST"])
    first = asyncio.create_task(post(app, bytes(900), "/held"))
    await served.wait()
    for body in (bytes(900), pieces(100, 9)):
        refused = await post(app, body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
    assert (await post(app, bytes(500))).status_code == 200
    go_on.set()
    assert (await first).json() == 900
    assert (await post(app, bytes(900))).status_code == 200


async def test_what_a_request_fetches_counts_with_the_bodies_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODIES_BYTES", Limit(what="", most=1500))
    app = application()

    async def fetch(request: Request) -> Response:
        hold_of(request)(len(await request.body()))
        return JSONResponse((await post(app, bytes(600))).status_code)

    app.add_api_route("/fetched", fetch, methods=["POST"])
    assert (await post(app, bytes(400), "/fetched")).json() == 200
    assert (await post(app, bytes(500), "/fetched")).json() == 429
    assert (await post(app, bytes(800), "/fetched")).status_code == 429
    assert (await post(app, bytes(MOST))).status_code == 200


async def test_a_body_that_stalls_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_S", Limit(what="", most=0.1))

    async def stall() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    await application()(scope, stall, send)
    assert sent[0]["status"] == 408
