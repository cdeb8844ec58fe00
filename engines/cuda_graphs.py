"""What both GPU engines share: towers that run as CUDA graphs, one for each batch size.

A tower of 12 blocks is about 150 kernels, and at small batches a GPU waits for the CPU to launch
them. A graph launches them at once, but it has one batch size and fixed addresses: hence buckets,
static tensors on the device and page-locked memory on the host.

One stream orders everything, so that the only synchronisation is the one that returns embeddings.
On a CPU the same code runs without stream, graph and locked memory: tests go that way.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.buckets import BUCKETS, BucketedTower, DeviceOutOfMemoryError
from engines.engine import Embeddings, EngineError

WARM_UP_RUNS: Final = 3
"""Libraries allocate workspaces and choose kernels in their first runs; a graph must not hold
that."""

_OUT_OF_MEMORY: Final = ("out of memory", "outofmemory", "alloc_failed")
"""torch, TensorRT and cuBLAS say it in their own ways."""

Program = Callable[[Tensor], Tensor]
"""Rows on the device, as the host sent them -> (B, V) float32 of unit length."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What one row of a batch is on the host."""

    shape: tuple[int, ...]
    dtype: torch.dtype


class Device:
    """A GPU with the one stream and the one memory pool of an engine; or the CPU, which has
    neither and records no graphs.

    Graphs may share a pool because none reads what another left there: inputs and outputs lie
    outside of it, and a stream runs one graph at a time.
    """

    def __init__(self, name: str, graphs: bool) -> None:
        """`name` as torch names devices, such as "cuda:1". Raises EngineError."""
        self.device = torch.device(name)
        self.is_gpu = self.device.type == "cuda"
        self.graphs = graphs and self.is_gpu
        if self.is_gpu and not torch.cuda.is_available():
            raise EngineError(
                f"torch {torch.__version__} finds no CUDA device: check the driver with "
                "nvidia-smi and that torch was built for CUDA, or choose the openvino engine"
            )
        try:  # here CUDA starts, which needs memory of its own
            if self.is_gpu:
                self.device = _numbered(self.device)
            self.stream = _stream(self.device) if self.is_gpu else None
            self.pool = torch.cuda.graph_pool_handle() if self.graphs else None
        except (RuntimeError, torch.cuda.DeferredCudaCallError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise EngineError(
                f"{self.device} cannot be used ({reason}): end other programs on it, or choose "
                "the openvino engine"
            ) from error

    def on_stream(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def synchronize(self) -> None:
        """Waits for the engine's stream."""
        if self.stream is not None:
            self.stream.synchronize()

    def give_up_memory(self) -> None:
        """After memory ran out: returns what nothing uses. Graphs to come get a new pool, since
        torch records no second graph into the pool of one whose recording broke off."""
        if self.is_gpu:
            torch.cuda.empty_cache()
        if self.graphs:
            self.pool = torch.cuda.graph_pool_handle()

    def settle(self) -> None:
        """Waits for everything: weights arrive on torch's own stream, which ours does not heed."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)


def _numbered(device: torch.device) -> torch.device:
    """ "cuda" is the current one; torch-tensorrt takes no device without its number."""
    count = torch.cuda.device_count()
    index = torch.cuda.current_device() if device.index is None else device.index
    if index >= count:
        raise EngineError(f"there is no {device}: this machine has {count} CUDA devices, from 0 on")
    return torch.device("cuda", index)


def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class BucketProgram:
    """One tower at one batch size, with memory of its own on both sides."""

    def __init__(
        self, program: Program, bucket: int, rows: Rows, embedding: int, device: Device
    ) -> None:
        shape = (bucket, *rows.shape)
        self._program = program
        self._device = device
        self._host_input = torch.zeros(shape, dtype=rows.dtype, pin_memory=device.is_gpu)
        self._host_output = torch.zeros(bucket, embedding, pin_memory=device.is_gpu)
        with device.on_stream():
            self._input = torch.zeros(shape, dtype=rows.dtype, device=device.device)
            self._output = torch.zeros(bucket, embedding, device=device.device)
        device.settle()
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.graphs:
            self._graph = self._recorded()

    def run(self, rows: NDArray[Any]) -> Embeddings:
        """At most as many rows as the bucket holds. The rows after them are those of an earlier
        batch; nothing reads what becomes of them."""
        writeable = rows if rows.flags.writeable else rows.copy()  # torch warns of anything else
        self._host_input[: len(rows)].copy_(torch.from_numpy(writeable))
        with torch.inference_mode(), self._device.on_stream():
            self._input.copy_(self._host_input, non_blocking=True)
            self.run_on_device()
            self._host_output.copy_(self._output, non_blocking=True)
        self._device.synchronize()
        return self._host_output[: len(rows)].numpy().copy()

    def run_on_device(self) -> None:
        """From the device's input to its output, on the current stream, without waiting."""
        if self._graph is not None:
            self._graph.replay()
        else:
            self._output.copy_(self._program(self._input))

    def _recorded(self) -> torch.cuda.CUDAGraph:
        device, graph = self._device, torch.cuda.CUDAGraph()
        with torch.inference_mode():
            with device.on_stream():
                for _ in range(WARM_UP_RUNS):
                    self.run_on_device()
            device.synchronize()
            # thread_local: other threads of the service may use the GPU meanwhile.
            with torch.cuda.graph(
                graph, pool=device.pool, stream=device.stream, capture_error_mode="thread_local"
            ):
                self.run_on_device()
        return graph


class GraphedTower(BucketedTower):
    """A tower on the device; a bucket is prepared when it is first needed."""

    def __init__(
        self,
        make: Callable[[int], Program],
        rows: Rows,
        embedding: int,
        device: Device,
        largest: int = BUCKETS[-1],
    ) -> None:
        """`make(bucket)` gives the program for that batch size."""
        super().__init__(embedding, largest)
        self._make = make
        self._rows = rows
        self._device = device
        self._programs: dict[int, BucketProgram] = {}

    def prepared(self, bucket: int) -> BucketProgram:
        """The program of one bucket. Raises RuntimeError, as torch does."""
        if bucket not in self._programs:
            self._programs[bucket] = BucketProgram(
                self._make(bucket), bucket, self._rows, self.embedding, self._device
            )
        return self._programs[bucket]

    def run(self, rows: NDArray[Any], bucket: int) -> Embeddings:
        """See `BucketedTower.run`."""
        try:
            return self.prepared(bucket).run(rows)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise EngineError(
                    f"{self._device.device} did not run a batch of {bucket} rows: {error}"
                ) from error
            reason = describe_memory(self._device.device)
        # Outside of the handler: the error would hold on to the tensors that did not fit.
        # Larger buckets are not used again either.
        self._programs = {b: p for b, p in self._programs.items() if b < bucket}
        self._device.give_up_memory()
        raise DeviceOutOfMemoryError(reason)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory is the reason, also where a graph that broke off reports it second."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError) or any(
            words in str(error).lower() for words in _OUT_OF_MEMORY
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def describe_memory(device: torch.device) -> str:
    """How much of the device's memory is free, for a message."""
    if device.type != "cuda":
        return f"no room is left for {device}"
    free, total = (count / 2**30 for count in torch.cuda.mem_get_info(device))
    return f"{free:.1f} of {total:.1f} GiB are free"
