"""`bagel config check`: whether a deploy file, or a model's folder, would do."""

from pathlib import Path
from typing import Annotated

import typer

from bagel import defaults

app = typer.Typer(name="config", help="Look at configuration before anything is started.", no_args_is_help=True)


@app.callback()
def _config() -> None:
    """Look at configuration before anything is started."""


@app.command()
def check(
    file: Annotated[
        str | None, typer.Argument(help="Deploy file for --deploy-config, or a model's folder; the default model's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what `bagel serve` would make of a file. Exit status 78 when it would not start."""
    from bagel.logs import configure_logs
    from bagel.stage_exit import EXIT_CONFIG
    from services.cli.checks.findings import Finding, fail, report
    from services.cli.checks.model import check_model, find_model

    configure_logs(service="config", fmt="text", level="warning")
    if file is not None and not Path(file).expanduser().is_dir():
        try:
            from services.cli.checks.deploy import check_deploy
        except ImportError as error:
            cure = "deploy files are for stages: pip install 'bagel-serve[stage]'"
            findings = iter([fail("packages", f"{error.name} is missing", cure)])
        else:
            findings = check_deploy(Path(file).expanduser())
    else:
        found = find_model(defaults.MODEL if file is None else file)
        findings = iter([found]) if isinstance(found, Finding) else check_model(found, hashes=False)
    if not report(findings, as_json=as_json):
        raise typer.Exit(EXIT_CONFIG)
