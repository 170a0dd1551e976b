"""How every command of the documents is run: here, by a test that is named, or not, for a reason that they tell.

A command is written as `Command.words` has it; `*` stands for anything. The first entry that fits counts.
"""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Run by test_commands.py against a server with the toy model: as it stands, but for its address.

    `also` are options added, and `instead` words replaced, so that it takes less time. It exits with 0 and prints
    `prints`, if anything is said of that.
    """

    also: str = ""
    instead: dict[str, str] = field(default_factory=dict)
    prints: str = ""


@dataclass(frozen=True, slots=True)
class By:
    """Run by a test, or by what CI runs: the first of these files, which have these words between them."""

    files: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """Not run by tests: the document says in the same section, or where it begins, what it takes, in these words."""

    said: str


How = Here | By | Needs

# What a command may need that tests do not have, as documents say it.
REASONS = (
    "4 GB", "CUDA", "Docker", "JupyterLab", "a cluster", "fresh environment", "needs root", "official checkpoint",
    "outside CI",
)  # fmt: skip

_JOINING = By(
    ("tests/services/registry/test_processes.py",),
    ('"services.registry"', '"services.dit"', '"services.thinker"', "--join-token-file"),
)
_HOSTS = By(
    ("tests/e2e/test_hosts.py",), ("--omni-master-address", '"--stage-id", "0"', '"--stage-id", "1", "--headless"')
)
_PARITY = ("tests/parity/test_parity.py",)
_SERVER = By(
    ("tests/e2e/conftest.py", "tests/e2e/server.py"), ("with running_server() as", "services.cli.main", '"serve"')
)

TABLE: dict[str, How] = {
    # Targets of make.
    "make check": By((".ci/run",), ("make check test",)),
    "make test": By((".ci/run",), ("make check test",)),
    "make format": By(("Makefile",), ("$(BIN)/ruff format .", "$(BIN)/ruff format --check .")),
    "make demo": By(("tests/e2e/test_examples.py",), ("examples.demo",)),
    "make serve": _SERVER,
    "make clients": Needs("4 GB"),
    "make images": Needs("needs root"),
    "make wheel-test": Needs("fresh environment"),
    "make chaos": Needs("outside CI"),
    "make bench": Needs("outside CI"),
    "make parity GOLDEN=tests/golden": By(_PARITY, ('last_line("direct", "--page-tokens"',)),
    "make parity-bf16 GOLDEN=tests/golden": By(_PARITY, ('last_line("direct", "--dtype", "bfloat16")',)),
    "make parity-services GOLDEN=tests/golden": By(_PARITY, ('last_line("services"',)),
    # Serving.
    "bagel serve": _SERVER,
    "bagel serve MODEL": _SERVER,
    "bagel serve /path/to/BAGEL-7B-MoT*": Needs("official checkpoint"),
    "bagel serve ByteDance-Seed/BAGEL-7B-MoT*": Needs("official checkpoint"),
    "bagel serve bagel-7b-mot --load-format dummy": Needs("official checkpoint"),
    "bagel serve MODEL --deploy-config bagel_single_stage.yaml": By(
        ("tests/e2e/test_deploy.py",), ("bundled()", '"--deploy-config", name')
    ),
    "bagel serve MODEL --deploy-config my.yaml *": By(
        ("tests/e2e/test_rolling.py",), ("--stage-overrides", "num_replicas")
    ),
    "bagel serve MODEL --host 0.0.0.0 --api-keys *": By(("tests/e2e/test_admission.py",), ("--api-keys",)),
    "bagel serve --api-keys api-keys.jsonl *": By(("tests/e2e/test_admission.py",), ("--api-keys",)),
    "bagel serve MODEL --stage-id * --master-address *": _HOSTS,
    "bagel serve MODEL --master-address 10.0.0.1": By(
        ("tests/services/launch/test_topology.py",), ("master_address=", "found.registry, found.master")
    ),
    "bagel serve --grpc-port *": By(
        ("tests/e2e/conftest.py", "tests/e2e/server.py"), ("running_server", "--grpc-port")
    ),
    "bagel serve --metrics-port 9464": By(
        ("tests/e2e/conftest.py", "tests/e2e/server.py"), ("running_server", "--metrics-port")
    ),
    "OTEL_EXPORTER_OTLP_ENDPOINT=* bagel serve": By(("tests/e2e/test_traces.py",), ("OTEL_EXPORTER_OTLP_ENDPOINT",)),
    "bagel serve MODEL --worker-backend ray": By(("tests/e2e/test_ray.py",), ("--worker-backend", "ray")),
    "bagel serve MODEL --worker-backend ray --ray-address *": Needs("a cluster"),
    # The processes by hand.
    "python -m services.registry --bind * --join-token-file *": _JOINING,
    "python -m services.thinker --metrics-bind *": By(("tests/services/launch/test_plan.py",), ("--metrics-bind",)),
    "python -m services.* --transport mooncake *": By(
        (*_PARITY, "tests/parity/services.py"), ('"mooncake"', "--transport")
    ),
    "python -m services.gateway ... --grpc-bind *": By(
        ("tests/services/gateway/test_door.py",), ("bind=address, admin_bind=admin",)
    ),
    "python -m services.* --join-token-file *": _JOINING,
    "python -m services.*": By(
        ("tests/e2e/test_stages_apart.py", "tests/chaos/failover_orders.py"),
        ("start_in", '"services.registry"', '"services.gateway"', "--master"),
    ),
    # Commands that ask.
    "python examples/openai_chat_client.py *": Here(also="--height 64 --width 64 --steps 3"),
    'bagel generate "A red car in the snow" -o car.png --seed 2': Here(prints="car.png: 256 x 256, seed 2"),
    "bagel generate *": Here(also="--steps 4"),
    'bagel edit car.png "Make the car blue" -o blue.png --seed 2': Here(
        also="--steps 12", prints="blue.png: 256 x 256, seed 2"
    ),
    "bagel edit *": Here(also="--steps 4"),
    "bagel describe *": Here(prints="."),
    "bagel chat *": Here(prints="Paris"),
    "curl *localhost:8091/v1/*": Here(
        instead={
            '"seed": ': '"num_inference_steps": 3, "seed": ',
            '"height": 512, "width": 512': '"height": 64, "width": 64',
        }
    ),
    "python examples/grpc_client.py *": By(("tests/e2e/test_grpc_client.py",), ("grpc_client",)),
    "python examples/end2end.py *": By(("tests/e2e/test_end2end.py",), ("end2end.py",)),
    "python -m examples.demo": By(("tests/e2e/test_examples.py",), ("examples.demo",)),
    "bagel doctor": By(("tests/e2e/test_cli_doctor.py",), ('"doctor"',)),
    "bagel doctor transport *": By(("tests/e2e/test_doctor.py",), ("--listen",)),
    "bagel config check models/toy": Here(),
    "bagel config check *.yaml": Here(),
    "bagel keys new *": Here(),
    # Other clients.
    "cd examples/node && npm install": By(("tests/clients/test_grpc_node.py",), ("generate.mjs",)),
    "node generate.mjs *": By(("tests/clients/test_grpc_node.py",), ("generate.mjs",)),
    # Of containers.
    "*docker compose *": Needs("Docker"),
    "docker build *": Needs("Docker"),
    "docker run *": Needs("Docker"),
    "openssl rand -hex 32 > join-token": Needs("Docker"),
    "chgrp *": Needs("Docker"),
    "export JOIN_TOKEN_FILE=*": Needs("Docker"),
    # Of clusters.
    "kubectl *": Needs("a cluster"),
    # Installing, measuring, training.
    "python -m pip install jupyterlab": Needs("JupyterLab"),
    "jupyter lab examples/bagel.ipynb": By(("tests/e2e/test_notebook.py",), ("bagel.ipynb",)),
    "python -m pip install --constraint constraints.txt --editable *": By(
        ("Makefile", "pyproject.toml"),
        ('--editable ".[stage,dev]"', "--constraint constraints.txt", "bagel-serve[mooncake,otel"),
    ),
    "python -m benchmarks.overload": Needs("outside CI"),
    "python -m tests.chaos.bombs": Needs("outside CI"),
    "python -m training *": Needs("CUDA"),
}


def how(words: str) -> How | None:
    """How a command is run; None when nobody said."""
    for pattern, way in TABLE.items():
        if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), words, re.DOTALL):
            return way
    return None
