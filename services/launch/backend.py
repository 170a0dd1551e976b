"""What starts the stages of a node, and starts them again."""

from enum import StrEnum


class WorkerBackend(StrEnum):
    """Processes of `bagel serve` itself, or actors of a Ray cluster."""

    PROCESS = "process"
    RAY = "ray"
