"""One training over several processes, as `torchrun` starts them; alone it is one process.

Gradients are means over processes, so a loss must be a mean over equally many rows in each. What a
loss reads of other processes goes through `gather`, whose gradient finds its way back: then
gradients are those that one process would compute from the whole batch.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

TIMEOUT = timedelta(minutes=30)  # one process may validate or write while the others wait


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of `count` processes this is, from 0, and where it computes."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """The one that prints and writes."""
        return self.rank == 0


@contextmanager
def processes(device: str = "auto") -> Iterator[Processes]:
    """Joins the others that the environment of `torchrun` names, and leaves them at the end.

    `device`: "auto" takes the GPU of this process's local rank, or the CPU where there is none.
    """
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    place = device_of(device)
    if count > 1:
        backend = "nccl" if place.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=TIMEOUT)
    try:
        yield Processes(rank, count, place)
    finally:
        if count > 1:
            dist.destroy_process_group()


def device_of(name: str) -> torch.device:
    """Of this process. Raises ValueError for "cuda" where there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cuda":
        return torch.device(name)
    if not torch.cuda.is_available():
        raise ValueError("--device cuda: there is no GPU here that torch can use")
    place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(place)
    return place


def together() -> bool:
    """Several processes train."""
    return dist.is_available() and dist.is_initialized()


def wait() -> None:
    """Until all processes are here: what the first wrote before is there for the others."""
    if together():
        dist.barrier()


def rank() -> int:
    """Of this process, 0 alone."""
    return dist.get_rank() if together() else 0


def gather(x: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks; as many from each. Gradients flow
    back to the process that a row came from, from all that read it."""
    return _Gather.apply(x) if together() else x  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    """All-gather, whose transpose is a sum over processes of the gradients of one's own rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 (torch's own context)
        ctx.rows = len(x)
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        start = rank() * ctx.rows
        return total[start : start + ctx.rows]


def gather_objects(value: object) -> list[Any]:
    """One value of every process, in the order of their ranks."""
    if not together():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def averaged(module: nn.Module, processes: Processes) -> nn.Module:
    """`module`, or, among several processes, a wrapper that averages its gradients as they come."""
    if processes.count == 1 or not any(p.requires_grad for p in module.parameters()):
        return module
    devices = [processes.device.index] if processes.device.type == "cuda" else None
    return DistributedDataParallel(module, device_ids=devices)
