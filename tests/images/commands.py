"""Whether a service would take a command line, asked of that service's own parser. Starts nothing."""

import argparse
from dataclasses import fields
from pathlib import Path

import typer

from bagel.stage_flags import StageConfig, add_stage_flags
from services.cli.main import app
from services.gateway.__main__ import read_flags as gateway_config
from services.launch.options import Placement
from services.launch.pipelines import PIPELINES
from services.launch.topology import topology_of
from services.registry.__main__ import _config as registry_config
from tests.images.dockerfiles import FOLDER

INSTALLED = Path("/opt/bagel")  # where images have deploy/docker/health.py


def accept(words: list[str]) -> None:
    """Return if a process would take these words. Raises SystemExit, ConfigError, or click's UsageError."""
    match words:
        case ["python", "-m", "services.gateway", *flags]:
            gateway_config(flags)
        case ["python", "-m", "services.registry", *flags]:
            registry_config(flags)
        case ["python", "-m", "services.thinker" | "services.dit", *flags]:
            parser = argparse.ArgumentParser(exit_on_error=False)
            add_stage_flags(parser)
            told = vars(parser.parse_args(flags))
            StageConfig(**{field.name: told[field.name] for field in fields(StageConfig) if field.name in told})
        case ["bagel", "serve", *flags]:
            _accept_node(flags)
        case ["python", "-c", code, *_]:
            compile(code, "<command>", "exec")
        case ["python", script, url]:
            assert (FOLDER / Path(script).relative_to(INSTALLED)).is_file(), script
            assert url.startswith(("http://", "grpc://")), url
        case _:
            raise AssertionError(f"no process of ours: {words}")


def _accept_node(flags: list[str]) -> None:
    command = typer.main.get_command(app)
    serve = command.commands["serve"]  # type: ignore[attr-defined]
    told = serve.make_context("serve", list(flags)).params
    placement = Placement(**{field.name: told[field.name] for field in fields(Placement)})
    topology_of(placement, PIPELINES["bagel"])
