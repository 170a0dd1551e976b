"""What a kubelet does for gRPC probes: `python -m tests.deploying.probing ADDRESS SERVICE` ends with 0 when it serves.

A process, since a host is a network namespace and gRPC opens its sockets on threads of its own.
"""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_S = 5.0


def main(address: str, service: str) -> int:
    """Ask once."""
    with grpc.insecure_channel(address) as channel:
        asked = health_pb2.HealthCheckRequest(service=service)
        answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=TIMEOUT_S)
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
