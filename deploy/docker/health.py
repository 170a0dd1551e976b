"""Whether a service is well, with what its image has anyway: `health.py http://HOST:PORT/PATH | grpc://HOST:PORT`.

Exit status 0 or 1, and a line that says why. A gRPC service must say that it serves: a stage that still loads does not.
With port 0 nobody knows where to look: nothing is looked at.
"""

import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

TIMEOUT_S = 4.0


def main(url: str) -> int:
    """The exit status."""
    parts = urlsplit(url)
    if parts.port == 0:
        return _say("any port was taken: not looked at", well=True)
    match parts.scheme:
        case "http":
            return _http(url)
        case "grpc":
            return _grpc(parts.netloc)
        case _:
            return _say(f"{url}: give http://HOST:PORT/PATH or grpc://HOST:PORT", well=False)


def _http(url: str) -> int:
    # Not through the proxy that an engine may have put into the environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return _say(f"{url}: {answer.status}", well=True)
    except (OSError, urllib.error.URLError) as error:
        return _say(f"{url}: {error}", well=False)


def _grpc(address: str) -> int:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            return _say(f"{address}: {error.code().name}", well=False)
    state = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return _say(f"{address}: {state}", well=answer.status == health_pb2.HealthCheckResponse.SERVING)


def _say(text: str, *, well: bool) -> int:
    print(text)
    return 0 if well else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
