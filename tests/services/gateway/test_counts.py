"""What broke is counted as broken, what was left as left."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from bagel.errors import DeadlineError
from services.gateway.errors import invalid_request
from services.gateway.happenings import Happening, TextDelta
from services.gateway.metrics import GatewayMetrics
from services.gateway.response_counts import CountedResponses, response_counter
from services.gateway.stages import Stages
from tests.services.gateway.test_gate import TASK


async def counted(error: BaseException) -> dict[str, str]:
    """Labels of the response that an endpoint raising this is counted as."""
    counter, registry = response_counter(), CollectorRegistry()
    registry.register(counter)

    async def broken(request: Request) -> Response:
        raise error

    app = FastAPI(openapi_url=None)
    app.add_api_route("/broken", broken)
    app.add_middleware(CountedResponses, counter)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        if isinstance(error, asyncio.CancelledError):
            with pytest.raises(asyncio.CancelledError):
                await client.get("/broken")
        else:
            assert (await client.get("/broken")).status_code == 500
    (sample,) = (sample for sample in counter.collect()[0].samples if sample.name.endswith("_total"))
    return sample.labels


async def test_an_endpoint_that_breaks_is_a_500_and_one_that_is_cancelled_a_499() -> None:
    assert await counted(ZeroDivisionError()) == {"route": "/broken", "status": "500"}
    assert await counted(asyncio.CancelledError()) == {"route": "/broken", "status": "499"}


async def test_what_breaks_after_its_status_was_sent_counts_as_sent() -> None:
    counter = response_counter()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    async def ignore(message: object) -> None:
        pass

    with pytest.raises(ZeroDivisionError):
        await CountedResponses(app, counter)({"type": "http"}, ignore, ignore)
    assert counter.collect()[0].samples[0].labels["status"] == "200"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ZeroDivisionError(), "internal_error"),
        (asyncio.CancelledError(), "cancelled"),
        (DeadlineError("late"), "deadline_exceeded"),
        (invalid_request("no", code="not_found"), "not_found"),
    ],
)
async def test_a_request_ends_with_the_outcome_of_its_error(error: BaseException, outcome: str) -> None:
    metrics = GatewayMetrics(Stages(), {})

    async def happening() -> AsyncGenerator[Happening, None]:
        yield TextDelta("word")
        raise error

    watched = metrics.watched(TASK, happening())
    assert await anext(watched) == TextDelta("word")
    with pytest.raises(type(error)):
        await anext(watched)
    labels = {"task": "text2text", "outcome": outcome}
    assert metrics.registry.get_sample_value("bagel_requests_total", labels) == 1


async def test_a_request_that_is_left_was_cancelled() -> None:
    metrics = GatewayMetrics(Stages(), {})

    async def happening() -> AsyncGenerator[Happening, None]:
        yield TextDelta("word")

    watched = metrics.watched(TASK, happening())
    await anext(watched)
    await watched.aclose()
    labels = {"task": "text2text", "outcome": "cancelled"}
    assert metrics.registry.get_sample_value("bagel_requests_total", labels) == 1
