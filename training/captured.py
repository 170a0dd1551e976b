"""Training steps as CUDA graphs: a step is some 2,400 kernels, which take longer to launch than to run."""

from typing import Protocol

import torch
from torch import Tensor

from training.batches import Plan


class Step(Protocol):
    """Everything that one step does on the device, with nothing from the CPU but the plan; -> what to log [n]."""

    def __call__(self, plan: Plan) -> Tensor: ...


class CapturedSteps:
    """Runs steps, each plan as a graph from its second time on; the first time compiles and fills caches.

    Everything runs in `stream`: gradients are summed in the stream of a parameter's first use, and a capture stands no
    other. All graphs share one pool of memory: none leaves anything in it but what the next one overwrites. What
    depends on the step (rates, seeds) lies in tensors and in the device's generator, which a replay reads.
    """

    def __init__(self, step: Step, logged: int, device: torch.device) -> None:
        self._step, self._out = step, torch.zeros(logged, device=device)
        self._graphs: dict[Plan, torch.cuda.CUDAGraph | None] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._before = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, plan: Plan) -> Tensor:
        """One step, with `stream` as the current one; the next one overwrites what it returns. At most two are under
        way on the device.
        """
        self._before.synchronize()
        self._before.record()
        if plan not in self._graphs:
            self._graphs[plan] = None
            self._out.copy_(self._step(plan))
            return self._out
        graph = self._graphs[plan]
        if graph is None:
            graph = self._graphs[plan] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self.stream):
                self._out.copy_(self._step(plan))
        graph.replay()
        return self._out
