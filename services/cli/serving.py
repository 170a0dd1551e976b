"""`bagel serve`: its flags, and the aliases under which other systems' command lines have them."""

import sys
from typing import Annotated

import typer

from bagel import defaults
from services.launch.backend import WorkerBackend

_MODEL, _HTTP, _STAGES, _NODES = "Model", "HTTP and requests", "Stages", "Several nodes"


def serve(
    model: Annotated[str, typer.Argument(help="Local folder, Hugging Face id, or a bundled model.")] = defaults.MODEL,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="HTTP port of the gateway.", rich_help_panel=_HTTP)
    ] = defaults.HTTP_PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for every interface.", rich_help_panel=_HTTP)
    ] = defaults.HTTP_HOST,
    load_format: Annotated[
        str, typer.Option(help="auto, safetensors, or dummy for seeded random weights.", rich_help_panel=_MODEL)
    ] = "auto",
    revision: Annotated[
        str | None, typer.Option(help="Commit, tag or branch of the hub.", rich_help_panel=_MODEL)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_MODEL)] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.", rich_help_panel=_MODEL)] = "auto",
    threads: Annotated[
        int, typer.Option(min=0, help="CPU threads a stage; 0 leaves it to torch.", rich_help_panel=_MODEL)
    ] = 0,
    kv_page_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens a KV page.", rich_help_panel=_MODEL)
    ] = defaults.KV_PAGE_TOKENS,
    kv_pool_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens of KV memory.", rich_help_panel=_MODEL)
    ] = defaults.KV_POOL_TOKENS,
    transport: Annotated[
        str,
        typer.Option(
            help="How KV pages move: auto, or of shm, mooncake, zeromq some with commas.", rich_help_panel=_STAGES
        ),
    ] = "auto",
    kv_verify: Annotated[
        str, typer.Option(help="auto, or always: hash pages on every way.", rich_help_panel=_STAGES)
    ] = "auto",
    deploy_config: Annotated[
        str | None,
        typer.Option(
            help="YAML file of stages, connectors and a pipeline, or a bundled one's name.", rich_help_panel=_STAGES
        ),
    ] = None,
    stage_configs_path: Annotated[
        str | None,
        typer.Option(
            help="The older form of such a file; prints what it means in the present one.", rich_help_panel=_STAGES
        ),
    ] = None,
    stage_overrides: Annotated[
        str | None,
        typer.Option(
            help='Fields of stages over those of the file, as JSON: {"1": {"num_replicas": 2}}.',
            rich_help_panel=_STAGES,
        ),
    ] = None,
    num_replicas: Annotated[
        int | None, typer.Option(min=1, help="Processes of each stage started here.", rich_help_panel=_STAGES)
    ] = None,
    max_num_seqs: Annotated[
        int | None, typer.Option(min=1, help="Requests that a stage works on at once.", rich_help_panel=_STAGES)
    ] = None,
    max_num_batched_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens that one step prefills.", rich_help_panel=_STAGES)
    ] = None,
    max_model_len: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a request's context.", rich_help_panel=_STAGES)
    ] = None,
    gpu_memory_utilization: Annotated[
        float | None, typer.Option(help="Part of a GPU's memory for a stage, 0 to 1.", rich_help_panel=_STAGES)
    ] = None,
    tensor_parallel_size: Annotated[
        int | None,
        typer.Option(min=1, help="GPUs of an engine; more than 1 is not built yet.", rich_help_panel=_STAGES),
    ] = None,
    vae_patch_parallel_size: Annotated[
        int | None,
        typer.Option(min=1, help="GPUs that decode a picture; more than 1 is not built yet.", rich_help_panel=_STAGES),
    ] = None,
    vae_use_tiling: Annotated[
        bool | None, typer.Option(help="Decode pictures in tiles; not built yet.", rich_help_panel=_STAGES)
    ] = None,
    enforce_eager: Annotated[
        bool | None, typer.Option(help="Accepted; every engine runs eagerly.", rich_help_panel=_STAGES)
    ] = None,
    trust_remote_code: Annotated[
        bool | None, typer.Option(help="Accepted; no code of a checkpoint is ever run.", rich_help_panel=_STAGES)
    ] = None,
    think: Annotated[
        bool, typer.Option("--think", help="Think, unless a request says otherwise.", rich_help_panel=_HTTP)
    ] = False,
    stage_id: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Start this stage alone: 0 with gateway and registry, others with --headless.",
            rich_help_panel=_NODES,
        ),
    ] = None,
    headless: Annotated[
        bool,
        typer.Option("--headless", help="Stages without a gateway, which join the master.", rich_help_panel=_NODES),
    ] = False,
    master_address: Annotated[
        str | None,
        typer.Option(
            "--master-address",
            "-ma",
            "--omni-master-address",
            "-oma",
            help="Host of the registry: this node's with a gateway, with --headless another's.",
            rich_help_panel=_NODES,
        ),
    ] = None,
    master_port: Annotated[
        int | None,
        typer.Option(
            "--master-port",
            "-mp",
            "--omni-master-port",
            "-omp",
            min=1,
            max=65535,
            help="Its port; 8092 unless told.",
            rich_help_panel=_NODES,
        ),
    ] = None,
    bind: Annotated[
        str | None,
        typer.Option(
            help="Where stages listen: HOST or HOST:PORT; by itself the address towards the master.",
            rich_help_panel=_NODES,
        ),
    ] = None,
    advertise_address: Annotated[
        str | None, typer.Option(help="The same as other nodes dial it.", rich_help_panel=_NODES)
    ] = None,
    join_token_file: Annotated[
        str | None, typer.Option(help="File with the secret of all nodes.", rich_help_panel=_NODES)
    ] = None,
    master_wait_s: Annotated[
        float | None,
        typer.Option(
            min=0, help="Give up when the master does not answer for so long; else wait for it.", rich_help_panel=_NODES
        ),
    ] = None,
    worker_backend: Annotated[
        WorkerBackend,
        typer.Option(help="What starts the stages: this command, or Ray as actors.", rich_help_panel=_NODES),
    ] = WorkerBackend.PROCESS,
    ray_address: Annotated[
        str,
        typer.Option(
            help="Ray cluster that is there: HOST:PORT of its head, or auto; none: one on this machine alone.",
            rich_help_panel=_NODES,
        ),
    ] = "",
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65534,
            help="The first stage's /metrics on this port, the next ones' behind it; 0 takes any; off by default.",
            rich_help_panel=_STAGES,
        ),
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The tasks over gRPC on this port; off by default.", rich_help_panel=_HTTP),
    ] = None,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Cost of requests that may wait; 1 is an ordinary one.", rich_help_panel=_HTTP)
    ] = defaults.MAX_QUEUE,
    max_running: Annotated[
        int | None,
        typer.Option(min=1, help="Requests of a kind that a stage gets at once; 8 unless told.", rich_help_panel=_HTTP),
    ] = None,
    hang_s: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Seconds on one piece of work after which a stage's device counts as hung.",
            rich_help_panel=_HTTP,
        ),
    ] = None,
    api_keys: Annotated[
        str | None, typer.Option(help="File of API keys; make one with `bagel keys new`.", rich_help_panel=_HTTP)
    ] = None,
    key_per_minute: Annotated[
        float | None, typer.Option(min=0.001, help="Requests a minute of a key.", rich_help_panel=_HTTP)
    ] = None,
    key_at_once: Annotated[
        int | None, typer.Option(min=1, help="Requests on their way of a key.", rich_help_panel=_HTTP)
    ] = None,
    fetch_images: Annotated[
        bool, typer.Option(help="Fetch pictures that requests name by http(s).", rich_help_panel=_HTTP)
    ] = False,
    request_timeout_s: Annotated[
        float, typer.Option(min=0.001, help="Longest time of a request, in seconds.", rich_help_panel=_HTTP)
    ] = defaults.REQUEST_TIMEOUT_S,
    drain_s: Annotated[
        float,
        typer.Option(min=0, help="Seconds that running requests get when a process stops.", rich_help_panel=_HTTP),
    ] = defaults.DRAIN_S,
    log_format: Annotated[defaults.LogFormat, typer.Option(help="Form of the logs.")] = defaults.LogFormat.AUTO,
    log_level: Annotated[defaults.LogLevel, typer.Option(help="Least level logged.")] = defaults.LogLevel.INFO,
    omni: Annotated[
        bool, typer.Option("--omni", hidden=True, help="Accepted for other systems' command lines; changes nothing.")
    ] = False,
) -> None:
    """Start gateway, Thinker and DiT on this machine, or a part of a system of several nodes, until Ctrl-C."""
    from services.launch.deploy.load import DeploySources, StageFlags
    from services.launch.options import Placement, ServeOptions
    from services.launch.serve import serve as run

    flags = StageFlags(
        num_replicas=num_replicas,
        tensor_parallel_size=tensor_parallel_size,
        vae_patch_parallel_size=vae_patch_parallel_size,
        vae_use_tiling=vae_use_tiling,
        gpu_memory_utilization=gpu_memory_utilization,
        max_model_len=max_model_len,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        trust_remote_code=trust_remote_code,
        enforce_eager=enforce_eager,
    )
    deploy = DeploySources(
        deploy_config=deploy_config,
        stage_configs=stage_configs_path,
        overrides=stage_overrides,
        flags=flags,
        stage_id=stage_id,
    )
    placement = Placement(
        stage_id=stage_id,
        headless=headless,
        master_address=master_address,
        master_port=master_port,
        bind=bind,
        advertise_address=advertise_address,
        join_token_file=join_token_file,
        master_wait_s=master_wait_s,
    )
    options = ServeOptions(
        model=model,
        host=host,
        port=port,
        load_format=load_format,
        revision=revision,
        device=device,
        dtype=dtype,
        threads=threads,
        kv_page_tokens=kv_page_tokens,
        kv_pool_tokens=kv_pool_tokens,
        transport=transport,
        kv_verify=kv_verify,
        deploy=deploy,
        placement=placement,
        worker_backend=worker_backend,
        ray_address=ray_address or None,
        think=think,
        metrics_port=metrics_port,
        grpc_port=grpc_port,
        max_queue=max_queue,
        max_running=max_running,
        hang_s=hang_s,
        api_keys=api_keys,
        key_per_minute=key_per_minute,
        key_at_once=key_at_once,
        fetch_images=fetch_images,
        request_timeout_s=request_timeout_s,
        drain_s=drain_s,
        log_format=log_format.value,
        log_level=log_level.value,
    )
    sys.exit(run(options))
