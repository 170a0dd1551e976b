"""The playground's files as the gateway serves them; what the page does is in tests/playground."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from services.gateway.app import make_app
from services.gateway.config import GatewayConfig
from tests.processes import ROOT

FOLDER = ROOT / "services/gateway/playground"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
URLS = ["/", *(f"/playground/{path.name}" for path in sorted(FOLDER.iterdir()) if path.name != "index.html")]


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(GatewayConfig()))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.mark.parametrize("url", URLS)
async def test_every_file_has_its_type_and_its_policy(http: httpx.AsyncClient, url: str) -> None:
    response = await http.get(url)
    path = FOLDER / (url.rsplit("/", 1)[1] or "index.html")
    assert response.content == path.read_bytes()
    assert response.headers["content-type"].startswith(TYPES[path.suffix])
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "connect")} == {"'self'"}
    assert policy["img-src"] == "'self' data: blob:"


async def test_a_file_that_is_known_by_its_tag_is_not_sent_again(http: httpx.AsyncClient) -> None:
    for url in URLS:
        first = await http.get(url)
        assert first.headers["cache-control"] == "no-cache"
        for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
            again = await http.get(url, headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert (await http.get(url, headers={"if-none-match": '"other"'})).content == first.content
        assert (await http.head(url)).headers["etag"] == first.headers["etag"]
    assert len({(await http.get(url)).headers["etag"] for url in URLS}) == len(URLS)


@pytest.mark.parametrize(
    "name",
    ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "..%5capp.py", "%2fetc%2fpasswd", "index.html", "app.js%00", ""],
)
async def test_no_other_file_is_served(http: httpx.AsyncClient, name: str) -> None:
    assert (await http.get(f"/playground/{name}")).status_code == 404


def test_no_file_names_another_host_or_holds_anything_inline() -> None:
    for path in FOLDER.iterdir():
        text = path.read_text()
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)\S+", text) == [], path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), path.name
    page = (FOLDER / "index.html").read_text()
    assert re.findall(r"<script[^>]*>([^<]+)</script>|<style|\son\w+=|\sstyle=", page) == []
