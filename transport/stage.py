"""From a stage's flags and its deploy file to its data planes."""

from dataclasses import replace
from pathlib import Path

from bagel.logs import get_logger
from bagel.stage_flags import StageConfig
from transport.configs import MemoryConfig, MooncakeConfig, MooncakeStoreConfig, PlaneConfig, ShmConfig, ZeroMqConfig
from transport.connectors import StageConnectors, read_connectors
from transport.open import names_of

RDMA_DEVICES = Path("/sys/class/infiniband")


def connectors_of(config: StageConfig, stage_id: int) -> StageConnectors:
    """A stage's planes, best first: from flags, else the deploy file, else what works here. Raises ConfigError."""
    found = None
    if config.transport == "auto" and config.deploy_config is not None:
        found = read_connectors(Path(config.deploy_config), stage_id)
        if found is not None:
            found = replace(found, planes=tuple(_placed(plane, config) for plane in found.planes))
    if found is None:
        names = names_of(config.transport)
        if config.transport == "auto" and has_rdma():
            names = ("shm", "mooncake", "zeromq")
        found = StageConnectors(tuple(_config(name, config) for name in names), config.kv_inline_bytes)
    get_logger().info("kv_transports", planes=[type(plane).__name__.removesuffix("Config") for plane in found.planes])
    return found


def has_rdma() -> bool:
    """Whether this host has an RDMA device."""
    return RDMA_DEVICES.is_dir() and any(RDMA_DEVICES.iterdir())


def _placed(plane: PlaneConfig, config: StageConfig) -> PlaneConfig:
    """A file's plane where the flags, or a master, say; as far as the file leaves it open."""
    match plane:
        case ZeroMqConfig(bind=bind, advertise_host=None) if bind == ZeroMqConfig().bind:
            return replace(plane, bind=config.kv_bind, advertise_host=config.kv_advertise_host)
        case MooncakeConfig(host="auto") | MooncakeStoreConfig(host="auto") if config.kv_advertise_host is not None:
            return replace(plane, host=config.kv_advertise_host)
        case _:
            return plane


def _config(name: str, config: StageConfig) -> PlaneConfig:
    always = config.kv_verify == "always"
    match name:
        case "memory":
            return MemoryConfig(verify_always=always)
        case "shm":
            return ShmConfig(socket=config.kv_socket, verify_always=always)
        case "mooncake":
            protocol = "rdma" if config.transport == "auto" else config.mooncake_protocol
            return MooncakeConfig(
                host=config.kv_advertise_host or "auto", protocol=protocol, device=config.mooncake_device
            )
        case "mooncake_store":
            return MooncakeStoreConfig(
                host=config.kv_advertise_host or "auto",
                master=config.mooncake_master,
                metadata_server=config.mooncake_metadata,
                protocol=config.mooncake_protocol,
            )
        case _:
            return ZeroMqConfig(bind=config.kv_bind, advertise_host=config.kv_advertise_host)
