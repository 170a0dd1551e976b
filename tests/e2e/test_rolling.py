"""SIGHUP: every process of a node anew, one after the other, and no request fails."""

import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.command import on_terminal
from tests.e2e.deployed import SHORT, SMALL, deployed
from tests.e2e.server import user
from tests.ports import free_port

PAUSE_S = 0.1  # a little load: the processes that start need the cores
REPLICAS = '{"0": {"num_replicas": 2}, "1": {"num_replicas": 2}}'
TEXT: dict[str, Any] = {"messages": user("Hi"), **SHORT}
PICTURE: dict[str, Any] = {"messages": user("A cat"), **SMALL}
CHILDREN = ["thinker", "thinker-1", "dit", "dit-1", "gateway"]


def test_a_rolling_restart_fails_no_request_and_changes_no_picture() -> None:
    with deployed("--load-format", "dummy", "--threads", "1", "--stage-overrides", REPLICAS) as (process, http):
        over = threading.Event()
        outcomes: Counter[str] = Counter()
        pictures: set[str] = set()

        def keep_asking(body: dict[str, Any]) -> None:
            with httpx.Client(base_url=http.base_url, timeout=60) as client:
                while not over.wait(PAUSE_S):
                    try:
                        response = client.post("/v1/chat/completions", json=body)
                    except httpx.HTTPError as error:
                        outcomes[repr(error)] += 1
                        continue
                    outcomes[str(response.status_code) if response.is_success else response.text] += 1
                    if "image" in body["modalities"] and response.is_success:
                        pictures.add(response.json()["choices"][0]["message"]["content"][0]["image_url"]["url"])

        asking = [threading.Thread(target=keep_asking, args=(body,)) for body in (TEXT, PICTURE)]
        for thread in asking:
            thread.start()
        process.send(signal.SIGHUP)
        renewed = [process.wait_event("renewing")["child"] for _ in CHILDREN]
        process.wait_event("rolled")
        over.set()
        for thread in asking:
            thread.join(60)
    assert renewed == CHILDREN
    assert set(outcomes) == {"200"}, outcomes
    assert outcomes["200"] > len(CHILDREN)
    assert len(pictures) == 1


def test_closing_the_terminal_stops_the_node_in_order(tmp_path: Path) -> None:
    with on_terminal("serve", "toy", "--port", str(free_port()), url="", cwd=tmp_path) as terminal:
        for _ in range(3):
            terminal.wait("started")
        pid = terminal.pid
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
