"""The command line. Imports nothing heavy before a command runs, so that help is there at once."""

import sys
from typing import Annotated

import typer

from bagel import defaults
from services.cli.config_check import app as config
from services.cli.doctor import app as doctor
from services.cli.keys import app as keys
from services.cli.mooncake_master import mooncake_master
from services.cli.pictures import edit, generate
from services.cli.texts import chat, describe

app = typer.Typer(
    name="bagel", help="Serve BAGEL: one model that understands and makes pictures.", no_args_is_help=True,
    add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip


@app.callback()
def _bagel() -> None:
    """Serve BAGEL: one model that understands and makes pictures."""


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="Local folder, Hugging Face id, or a bundled model.")] = defaults.MODEL,
    port: Annotated[int, typer.Option(min=1, max=65535, help="HTTP port of the gateway.")] = defaults.HTTP_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every interface.")] = defaults.HTTP_HOST,
    load_format: Annotated[str, typer.Option(help="auto, safetensors, or dummy for seeded random weights.")] = "auto",
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of the hub.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads a stage; 0 leaves it to torch.")] = 0,
    kv_page_tokens: Annotated[int, typer.Option(min=1, help="Tokens a KV page.")] = defaults.KV_PAGE_TOKENS,
    kv_pool_tokens: Annotated[int, typer.Option(min=1, help="Tokens of KV memory.")] = defaults.KV_POOL_TOKENS,
    transport: Annotated[
        str, typer.Option(help="How KV pages move: auto, or of shm, mooncake, zeromq some with commas.")
    ] = "auto",
    deploy_config: Annotated[str | None, typer.Option(help="YAML file with connectors and stages.")] = None,
    kv_verify: Annotated[str, typer.Option(help="auto, or always: hash pages on every way.")] = "auto",
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65534,
            help="The Thinker's /metrics on this port, the DiT's on the next; 0 takes any; off by default.",
        ),
    ] = None,
    grpc_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The tasks over gRPC on this port; off by default.")
    ] = None,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Cost of requests that may wait; 1 is an ordinary one.")
    ] = defaults.MAX_QUEUE,
    max_running: Annotated[
        int, typer.Option(min=1, help="Requests of a kind that a stage gets at once.")
    ] = defaults.MAX_RUNNING,
    api_keys: Annotated[str | None, typer.Option(help="File of API keys; make one with `bagel keys new`.")] = None,
    key_per_minute: Annotated[float | None, typer.Option(min=0.001, help="Requests a minute of a key.")] = None,
    key_at_once: Annotated[int | None, typer.Option(min=1, help="Requests on their way of a key.")] = None,
    fetch_images: Annotated[bool, typer.Option(help="Fetch pictures that requests name by http(s).")] = False,
    request_timeout_s: Annotated[
        float, typer.Option(min=0.001, help="Longest time of a request, in seconds.")
    ] = defaults.REQUEST_TIMEOUT_S,
    drain_s: Annotated[
        float, typer.Option(min=0, help="Seconds that running requests get when the server stops.")
    ] = defaults.DRAIN_S,
    log_format: Annotated[defaults.LogFormat, typer.Option(help="Form of the logs.")] = defaults.LogFormat.AUTO,
    log_level: Annotated[defaults.LogLevel, typer.Option(help="Least level logged.")] = defaults.LogLevel.INFO,
) -> None:
    """Start gateway, Thinker and DiT on this machine, and keep them running until Ctrl-C."""
    from services.launch.plan import ServeOptions
    from services.launch.serve import serve as run

    options = ServeOptions(
        model=model, host=host, port=port, load_format=load_format, revision=revision, device=device, dtype=dtype,
        threads=threads, kv_page_tokens=kv_page_tokens, kv_pool_tokens=kv_pool_tokens, transport=transport,
        kv_verify=kv_verify, deploy_config=deploy_config, metrics_port=metrics_port, grpc_port=grpc_port,
        max_queue=max_queue, max_running=max_running, api_keys=api_keys, key_per_minute=key_per_minute,
        key_at_once=key_at_once, fetch_images=fetch_images, request_timeout_s=request_timeout_s, drain_s=drain_s,
        log_format=log_format.value, log_level=log_level.value,
    )  # fmt: skip
    sys.exit(run(options))


@app.command()
def version() -> None:
    """Print the version."""
    from bagel import __version__

    typer.echo(f"bagel-serve {__version__}")


for command in (generate, edit, describe, chat):
    app.command()(command)
app.add_typer(doctor)
app.add_typer(config)
app.add_typer(keys)
app.command()(mooncake_master)


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
