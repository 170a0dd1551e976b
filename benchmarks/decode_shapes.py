"""`python -m benchmarks.decode_shapes`: what a new context length costs a decoding step, by backend. Needs CUDA.

One layer's attention at the 7B shapes for 64 lengths in a row, each met for the first time and then again.
"""

import sys
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

HEADS, KV_HEADS, HEAD_DIM = 28, 4, 128
LENGTHS = range(200, 264)
BACKENDS = {
    "torch's choice": [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH],
    "without cuDNN": [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH],
}


def main() -> int:
    """Print milliseconds a call."""
    if not torch.cuda.is_available():
        print("no CUDA device is here")
        return 1
    for name, backends in BACKENDS.items():
        first, again = _milliseconds(backends), _milliseconds(backends)
        print(f"{name:<16} first {first:8.3f} ms a call, again {again:8.3f} ms a call")
    return 0


def _milliseconds(backends: list[SDPBackend]) -> float:
    options = {"device": "cuda", "dtype": torch.bfloat16}
    q = torch.randn(1, HEADS, 1, HEAD_DIM, **options)
    k = torch.randn(1, KV_HEADS, LENGTHS.stop, HEAD_DIM, **options)
    torch.cuda.synchronize()
    started = time.perf_counter()
    with torch.inference_mode(), sdpa_kernel(backends, set_priority=True):
        for length in LENGTHS:
            scaled_dot_product_attention(q, k[:, :, :length], k[:, :, :length], enable_gqa=True)
    torch.cuda.synchronize()
    return (time.perf_counter() - started) * 1000 / len(LENGTHS)


if __name__ == "__main__":
    sys.exit(main())
