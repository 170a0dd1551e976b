"""Every line is JSON with the request's id, whoever wrote it."""

import json
import subprocess
import sys

from tests.processes import ROOT

CODE = """
import logging
from bagel.logs import bind_request, configure_logs, get_logger
configure_logs(service="thinker", fmt="json")
bind_request("my-request")
get_logger().info("ours", pages=3)
logging.getLogger("urllib3").warning("theirs %s", "too")
logging.getLogger("urllib3").info("not this one")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("with a trace")
"""


def test_lines_of_libraries_take_the_same_form() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["ours", "theirs too", "with a trace"]
    assert all((line["service"], line["request_id"]) == ("thinker", "my-request") for line in lines)
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert lines[1]["logger"] == "urllib3"
    assert "ZeroDivisionError" in lines[2]["exception"]
