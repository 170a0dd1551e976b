"""`/openapi.json` and `/docs`: the API's description, and Swagger UI over it. Everything comes from this host.

Swagger UI's files are those of the package `fastapi-swagger`; nothing else of it is used.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from services.gateway.config import GatewayConfig
from services.gateway.errors import invalid_request
from services.gateway.openapi import describe_api

_PAGES, _SWAGGER = files("services.gateway") / "pages", files("fastapi_swagger") / "resources"
_FILES: dict[str, tuple[Traversable, str]] = {
    "docs.js": (_PAGES, "text/javascript"),
    "docs.css": (_PAGES, "text/css"),
    "swagger-ui-bundle.js": (_SWAGGER, "text/javascript"),
    "swagger-ui.css": (_SWAGGER, "text/css"),
    "favicon-32x32.png": (_SWAGGER, "image/png"),
}
# Swagger UI draws its icons from data URIs and shows downloaded pictures from blobs.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class Documentation:
    """The handlers with what they serve."""

    def __init__(self, config: GatewayConfig) -> None:
        self._described = JSONResponse(describe_api(config)).body

    async def description(self, request: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._described, media_type="application/json", headers={"cache-control": "no-cache"})

    async def page(self, request: Request) -> Response:
        """The page."""
        return Response((_PAGES / "docs.html").read_bytes(), media_type="text/html", headers=_HEADERS)

    async def file(self, request: Request) -> Response:
        """A file that the page loads. Raises ApiError for any other."""
        name = request.path_params["name"]
        if name not in _FILES:
            raise invalid_request(f"/docs has no file {name!r}", code="not_found", status=404)
        folder, media_type = _FILES[name]
        return Response((folder / name).read_bytes(), media_type=media_type, headers=_HEADERS)
