"""A process of its own that loads what could hang, crash or take long: torch, Mooncake. Prints what it found as JSON.

`python -m services.cli.checks.probe torch|mooncake`
"""

import json
import subprocess
import sys

PROBE_S = 120.0


def probe(what: str) -> dict[str, object]:
    """What a new process found; `problem` says why it found nothing."""
    command = [sys.executable, "-m", __name__, what]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PROBE_S)
    except subprocess.TimeoutExpired:
        return {"problem": f"loading it takes over {PROBE_S:.0f} s"}
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"the process ended with status {done.returncode}"]
        return {"problem": last[0]}
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def _torch() -> dict[str, object]:
    import torch

    gpus = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        bfloat16 = torch.cuda.get_device_capability(index) >= (8, 0)
        gpus.append(
            {"name": torch.cuda.get_device_name(index), "free": free, "total": total, "bfloat16": bfloat16}
        )  # fmt: skip
    return {"version": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads(), "gpus": gpus}


def _mooncake() -> dict[str, object]:
    from bagel.errors import ConfigError
    from transport.mooncake_install import load

    try:
        load("engine")
    except ConfigError as error:
        return {"problem": str(error)}
    return {}


if __name__ == "__main__":
    print(json.dumps({"torch": _torch, "mooncake": _mooncake}[sys.argv[1]]()))
