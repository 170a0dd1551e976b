"""The HTTP application: routes, health, and every error in OpenAI's shape."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from bagel import __version__
from bagel.errors import BagelError
from bagel.logs import get_logger
from bagel.master import read_token
from bagel.rpc import REQUEST_ID_KEY
from services.gateway.bodies import BoundedBodies
from services.gateway.chat import ChatEndpoint
from services.gateway.config import GatewayConfig
from services.gateway.discovery import Discovery, check_addresses
from services.gateway.documentation import Documentation
from services.gateway.door.callers import Callers
from services.gateway.door.server import Door
from services.gateway.errors import ApiError, from_bagel, invalid_request
from services.gateway.handover import until_known
from services.gateway.headers import BoundedHeaders
from services.gateway.images import ImagesEndpoint
from services.gateway.key_check import KeyCheck, Keys, caller_of
from services.gateway.key_limits import Allowance
from services.gateway.keys import KeyFile
from services.gateway.models import describe_model
from services.gateway.picture_links import PictureLinks
from services.gateway.playground import Playground
from services.gateway.request_ids import RequestIds, request_id_of
from services.gateway.response_counts import CountedResponses, response_counter
from services.gateway.serving import Serving
from services.gateway.stages import Stages
from services.gateway.tracing import TracedRequests


def make_app(config: GatewayConfig) -> FastAPI:
    """The application; it connects to the stages when it starts and never waits for them. Raises ConfigError."""

    responses, keys, token = response_counter(), _keys(config), read_token(config.join_token_file)
    check_addresses((*config.thinkers, *config.dits))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stages = Stages(config.hang_s)
        discovery = Discovery(stages, config, token)
        discovery.open()
        app.state.stages = stages
        app.state.serving = serving = Serving(stages, config)
        serving.metrics.registry.register(responses)
        await serving.decoding.start()
        app.state.chat = ChatEndpoint(serving)
        app.state.links = PictureLinks()
        app.state.images = ImagesEndpoint(serving, app.state.links)
        app.state.door = door = Door(serving, Callers(keys), bind=config.grpc_bind, admin_bind=config.grpc_admin_bind)
        await door.open()
        await until_known(stages, config.wait_stages_s)
        yield
        await door.start_closing(config.drain_s)
        await serving.close()
        await discovery.close()
        await stages.close()

    # FastAPI's own pages load scripts from another host, and it does not know what the endpoints parse by themselves.
    app = FastAPI(title="bagel-serve", version=__version__, lifespan=lifespan, openapi_url=None)
    documentation = Documentation(config)
    app.add_api_route("/openapi.json", documentation.description, methods=["GET"])
    app.add_api_route("/docs", documentation.page, methods=["GET"])
    app.add_api_route("/docs/{name}", documentation.file, methods=["GET"])
    playground = Playground()
    app.add_api_route("/", playground.page, methods=["GET", "HEAD"])
    app.add_api_route("/playground/{name}", playground.file, methods=["GET", "HEAD"])
    app.add_api_route("/v1/chat/completions", _chat, methods=["POST"])
    app.add_api_route("/v1/images/generations", _generate, methods=["POST"])
    app.add_api_route("/v1/images/edits", _edit, methods=["POST"])
    app.add_api_route("/v1/images/variations", _variations, methods=["POST"])
    app.add_api_route("/v1/pictures/{name}", _picture, methods=["GET"])
    app.add_api_route("/v1/requests/{request_id}", _cancel, methods=["DELETE"])
    app.add_api_route("/v1/models", _models, methods=["GET"])
    app.add_api_route("/v1/models/{model_id:path}", _model, methods=["GET"])
    app.add_api_route("/metrics", _metrics, methods=["GET"])
    app.add_api_route("/startupz", _startupz, methods=["GET"])
    app.add_api_route("/livez", _livez, methods=["GET"])
    for path in ("/readyz", "/health"):
        app.add_api_route(path, _readyz, methods=["GET"])
    app.add_middleware(TracedRequests)
    # The last is asked first.
    app.add_middleware(BoundedBodies, config.max_body_bytes)
    app.add_middleware(KeyCheck, keys)
    app.add_middleware(BoundedHeaders)
    app.add_middleware(RequestIds)
    app.add_middleware(CountedResponses, responses)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(BagelError, _bagel_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected_error)
    return app


def _keys(config: GatewayConfig) -> Keys | None:
    if config.api_keys is None:
        return None
    allowance = Allowance(per_minute=config.key_per_minute, at_once=config.key_at_once)
    return Keys(KeyFile(Path(config.api_keys)), allowance)


async def _chat(request: Request) -> Response:
    response: Response = await request.app.state.chat(request)
    return response


async def _generate(request: Request) -> Response:
    response: Response = await request.app.state.images.generate(request)
    return response


async def _edit(request: Request) -> Response:
    response: Response = await request.app.state.images.edit(request)
    return response


async def _variations(request: Request) -> Response:
    message = "variations are retired, here as at OpenAI; send the picture and a prompt to /v1/images/edits"
    raise invalid_request(message, code="not_found", status=404)


async def _picture(request: Request) -> Response:
    query = request.query_params
    found = request.app.state.links.find(
        request.path_params["name"], query.get("until", ""), query.get("signature", "")
    )
    if found is None:
        raise invalid_request("no such picture, or its link is over", code="not_found", status=404)
    data, mime = found
    return Response(data, media_type=mime, headers={"cache-control": "private, max-age=3600"})


async def _cancel(request: Request) -> Response:
    request_id = request.path_params["request_id"]
    if not request.app.state.serving.running.cancel(request_id, caller_of(request)):
        raise invalid_request(f"no request {request_id!r} is running here", code="not_found", status=404)
    return JSONResponse({"id": request_id, "object": "request.cancelled"})


async def _models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [describe_model(_stages(request).model())]})


async def _model(request: Request) -> Response:
    # An id of a hub has a slash, which clients send as it is.
    request.app.state.serving.model_for(request.path_params["model_id"])
    return JSONResponse(describe_model(_stages(request).model()))


async def _livez(request: Request) -> Response:
    return JSONResponse({"status": "alive", "version": __version__})


async def _metrics(request: Request) -> Response:
    return Response(request.app.state.serving.metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def _startupz(request: Request) -> Response:
    stages = _stages(request)
    started = stages.started()
    return JSONResponse({"started": started, "reasons": stages.missing()}, status_code=200 if started else 503)


async def _readyz(request: Request) -> Response:
    stages = _stages(request)
    reasons = stages.missing()
    body = {"ready": not reasons, "reasons": reasons, "stages": stages.describe()}
    return JSONResponse(body, status_code=503 if reasons else 200)


def _stages(request: Request) -> Stages:
    stages: Stages = request.app.state.stages
    return stages


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers())


async def _bagel_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, BagelError)
    return await _api_error(request, from_bagel(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}"
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    response = await _api_error(request, invalid_request(message, status=error.status_code, code=code))
    response.headers.update(error.headers or {})
    return response


async def _unexpected_error(request: Request, error: Exception) -> Response:
    get_logger().error("request_failed", path=request.url.path, exc_info=error)
    body = ApiError(status=500, message="internal error; see the gateway's log", type="server_error")
    response = await _api_error(request, body)
    response.headers[REQUEST_ID_KEY] = request_id_of(request)  # no middleware sees this answer
    return response
