"""Which device and number format a process computes with."""

import torch

from bagel.errors import ConfigError, OverloadedError


def open_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device that is there. Turns TF32 off for the whole process.

    The calling thread works on a GPU's stream of its own from now on. Raises ConfigError when the device is not there.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # The autotuner could pick another kernel for the second of two equal requests.
    torch.backends.cudnn.benchmark = False
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"--device {name}: not a device; take auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda":
        if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
            raise ConfigError(f"--device {name}: this machine shows {torch.cuda.device_count()} CUDA devices")
        device = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(device)
        # On CUDA's default stream, copies that others make to this GPU would wait for kernels, piece by piece.
        torch.cuda.set_stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]
    elif device.type != "cpu":
        raise ConfigError(f"--device {name}: only cpu and cuda are supported")
    return device


def resolve_dtype(name: str, device: torch.device) -> str:
    """`auto` is bfloat16 on a GPU and float32 on a CPU."""
    if name == "auto":
        return "bfloat16" if device.type == "cuda" else "float32"
    if name not in ("float32", "bfloat16"):
        raise ConfigError(f"--dtype {name}: take auto, float32 or bfloat16")
    return name


def finish_work(device: torch.device) -> None:
    """Wait for what the calling thread gave the device to do."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def peak_memory_bytes(device: torch.device) -> int:
    """Most device memory that tensors have held so far; 0 on a CPU."""
    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else 0


def device_name(device: torch.device) -> str:
    """What people call the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def explained(error: BaseException) -> BaseException:
    """An error of a piece of work as its request hears it: device memory that ran out is an overload."""
    if isinstance(error, torch.OutOfMemoryError):
        return OverloadedError("the device has too little free memory for this request; try again or make it smaller")
    return error
