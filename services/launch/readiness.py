"""Telling people what a starting node waits for, from the gateway's `/readyz`."""

import asyncio
import http.client
import json
import time

from bagel.logs import get_logger

POLL_S = 0.25
REPEAT_S = 5.0
TIMEOUT_S = 2.0


async def report_until_ready(host: str, port: int) -> None:
    """Log what is missing whenever that changes, and in the end that everything is there."""
    started, said, said_at = time.monotonic(), "", 0.0
    while True:
        reasons = await asyncio.to_thread(_missing, host, port)
        if not reasons:
            url = f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1', '::') else host}:{port}"
            get_logger().info("serving", url=url, after_s=round(time.monotonic() - started, 1))
            return
        text = "; ".join(reasons)
        if text != said and (not said or time.monotonic() - said_at > REPEAT_S):
            said, said_at = text, time.monotonic()
            get_logger().info("waiting", reasons=text)
        await asyncio.sleep(POLL_S)


def _missing(host: str, port: int) -> list[str]:
    """Reasons why the node is not ready; empty when it is."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        body = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return ["the gateway is starting"]
    finally:
        connection.close()
    reasons: list[str] = body["reasons"]
    return reasons
