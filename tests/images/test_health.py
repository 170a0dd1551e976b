"""The images' health check, against servers that are well, that are not, and that are not there."""

import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.images.dockerfiles import FOLDER
from tests.ports import free_port


@pytest.fixture(scope="module")
def check() -> Callable[[str], int]:
    """The script's own entry."""
    spec = importlib.util.spec_from_file_location("health_of_images", FOLDER / "health.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[[str], int] = module.main
    return main


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Not into the tests' output."""


@contextmanager
def http_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def grpc_server(status: int) -> Iterator[int]:
    with ThreadPoolExecutor(2) as workers:
        server = grpc.server(workers)
        servicer = health.HealthServicer()
        servicer.set("", status)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait(10)


def test_an_http_server_is_well_when_it_says_so(check: Callable[[str], int]) -> None:
    with http_server() as port:
        assert check(f"http://127.0.0.1:{port}/livez") == 0
        assert check(f"http://127.0.0.1:{port}/readyz") == 1


def test_a_proxy_of_the_environment_is_passed_by(check: Callable[[str], int], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with http_server() as port:
        assert check(f"http://127.0.0.1:{port}/livez") == 0
    with grpc_server(health_pb2.HealthCheckResponse.SERVING) as port:
        assert check(f"grpc://127.0.0.1:{port}") == 0


def test_a_stage_that_still_loads_is_not_well(check: Callable[[str], int]) -> None:
    with grpc_server(health_pb2.HealthCheckResponse.NOT_SERVING) as port:
        assert check(f"grpc://127.0.0.1:{port}") == 1


def test_nobody_is_not_well_and_says_so(check: Callable[[str], int], capsys: pytest.CaptureFixture[str]) -> None:
    for url in (f"http://127.0.0.1:{free_port()}/livez", f"grpc://127.0.0.1:{free_port()}", "ftp://127.0.0.1:1"):
        assert check(url) == 1
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_port_that_nobody_knows_is_not_looked_at(check: Callable[[str], int]) -> None:
    assert check("grpc://127.0.0.1:0") == 0
