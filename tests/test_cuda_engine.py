"""The GPU engine on the CPU, where it runs the same code without graphs; and on a GPU if there is
one."""

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import FAMILIES, TINY, TINY_RELEASED, write_checkpoint

from engines import cuda_graphs
from engines.cuda_engine import CudaEngine
from engines.cuda_graphs import Device, GraphedTower, Rows, describe_memory, is_out_of_memory
from engines.engine import EngineError
from engines.torch_engine import TorchEngine
from vfd.checkpoint import Checkpoint, load_checkpoint
from vfd.model_config import ModelConfig

COSINE_TOLERANCE = {"f32": 1e-6, "bf16": 5e-3, "fp16": 1e-3}
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))


@pytest.fixture
def engine(checkpoint: Checkpoint) -> Iterator[CudaEngine]:
    opened = CudaEngine(checkpoint, "f32", "cpu")
    yield opened
    opened.close()


def inputs(rows: int, config: ModelConfig = TINY) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    voices = rng.standard_normal((rows, 1, *config.voice.image)).astype(np.float32)
    return voices, rng.integers(0, 256, (rows, 224, 224, 3), dtype=np.uint8)


def check_parity(engine: CudaEngine, checkpoint: Checkpoint, rows: int, tolerance: float) -> None:
    reference = TorchEngine(checkpoint)
    voices, faces = inputs(rows, checkpoint.info.config)
    for name, batch in (("embed_voice", voices), ("embed_faces", faces)):
        ours, theirs = getattr(engine, name)(batch), getattr(reference, name)(batch)
        errors = 1 - (ours * theirs).sum(axis=1)
        print(f"{name}: cosine error max {errors.max():.1e} mean {errors.mean():.1e}")
        assert ours.shape == theirs.shape
        assert ours.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, rtol=1e-5)
        assert errors.max() < tolerance


@pytest.mark.parametrize("precision", ["f32", "bf16"])
@pytest.mark.parametrize("rows", [1, 3, 9])
def test_parity_with_torch(checkpoint: Checkpoint, precision: str, rows: int) -> None:
    engine = CudaEngine(checkpoint, precision, "cpu")
    check_parity(engine, checkpoint, rows, COSINE_TOLERANCE[precision])


@pytest.mark.parametrize("config", FAMILIES, ids=lambda c: c.preset)
def test_every_family_is_served(tmp_path: Path, config: ModelConfig) -> None:
    loaded = load_checkpoint(write_checkpoint(tmp_path / "any.safetensors", config))
    check_parity(CudaEngine(loaded, "f32", "cpu"), loaded, 2, COSINE_TOLERANCE["f32"])


def test_no_rows_of_an_earlier_batch_come_back(engine: CudaEngine) -> None:
    voices, _ = inputs(4)
    together = engine.embed_voice(voices)
    alone = engine.embed_voice(voices[1:2])
    padded = engine.embed_voice(voices[1:])  # in the bucket that still holds all four
    np.testing.assert_allclose(alone, together[1:2], atol=1e-6)
    np.testing.assert_allclose(padded, together[1:], atol=1e-6)
    assert engine.embed_voice(voices[:0]).shape == (0, TINY.embedding)


def test_results_outlive_the_next_call_and_inputs_may_be_read_only(engine: CudaEngine) -> None:
    _, faces = inputs(2)
    faces.flags.writeable = False
    first = engine.embed_faces(faces[:1])
    kept = first.copy()
    engine.embed_faces(faces[1:])
    np.testing.assert_array_equal(first, kept)


def test_wrong_batches_settings_and_a_closed_engine(
    engine: CudaEngine, checkpoint: Checkpoint
) -> None:
    voices, faces = inputs(1)
    with pytest.raises(EngineError, match="spectrograms are"):
        engine.embed_voice(voices[0])
    with pytest.raises(EngineError, match="crops are"):
        engine.embed_faces(faces[0])
    with pytest.raises(EngineError, match="no precision 'int4': choose one of bf16, fp16, f32"):
        CudaEngine(checkpoint, "int4", "cpu")
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.embed_voice(voices)


def test_half_precision_is_refused_where_inputs_exceed_it(tmp_path: Path) -> None:
    loaded = load_checkpoint(write_checkpoint(tmp_path / "any.safetensors", TINY_RELEASED))
    with pytest.raises(EngineError, match=r"'mel128' exceed what fp16 holds.*in bf16"):
        CudaEngine(loaded, "fp16", "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_machine_without_a_gpu_is_told_what_to_check(checkpoint: Checkpoint) -> None:
    with pytest.raises(EngineError, match="finds no CUDA device: check the driver"):
        CudaEngine(checkpoint)


def test_devices_are_numbered_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch-tensorrt makes nothing of a device without its number."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(cuda_graphs, "_stream", lambda device: None)
    assert Device("cuda", graphs=False).device == torch.device("cuda", 1)
    assert Device("cuda:0", graphs=False).device == torch.device("cuda", 0)
    with pytest.raises(EngineError, match="there is no cuda:2: this machine has 2 CUDA devices"):
        Device("cuda:2", graphs=False)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("CUDA error: out of memory\nCompile with"), "CUDA error: out of memory"),
        (torch.cuda.DeferredCudaCallError("CUDA call failed lazily"), "CUDA call failed lazily"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_gpu_that_is_full_or_broken_is_named(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(_device: torch.device) -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(cuda_graphs, "_stream", fail)
    with pytest.raises(EngineError) as told:
        Device("cuda:0", graphs=True)
    assert str(told.value) == (
        f"cuda:0 cannot be used ({reason}): end other programs on it, or choose the openvino engine"
    )


def tower_with_room_for(room: int, message: str = "CUDA out of memory. Tried") -> GraphedTower:
    """Doubles its rows; a batch above `room` fails as torch does."""

    def program(rows: torch.Tensor) -> torch.Tensor:
        if len(rows) > room:
            raise RuntimeError(message)
        return 2 * rows

    return GraphedTower(
        lambda bucket: program, Rows((3,), torch.float32), 3, Device("cpu", graphs=True)
    )


def test_memory_that_runs_out_means_smaller_batches() -> None:
    tower = tower_with_room_for(5)
    rows = np.arange(60, dtype=np.float32).reshape(20, 3)
    np.testing.assert_array_equal(tower.embed(rows), 2 * rows)
    with pytest.raises(EngineError, match="out of memory at a batch of 1: no room is left for cpu"):
        tower_with_room_for(0).embed(rows)


def test_memory_that_runs_out_later_gives_up_all_larger_batches() -> None:
    room = [8]
    made: dict[int, weakref.ref[Callable[[torch.Tensor], torch.Tensor]]] = {}

    def make(bucket: int) -> Callable[[torch.Tensor], torch.Tensor]:
        def program(rows: torch.Tensor) -> torch.Tensor:
            if len(rows) > room[0]:
                raise RuntimeError("CUDA out of memory")
            return rows

        made[bucket] = weakref.ref(program)
        return program

    tower = GraphedTower(make, Rows((3,), torch.float32), 3, Device("cpu", graphs=True))
    rows = np.zeros((8, 3), np.float32)
    for count in (8, 2):
        tower.embed(rows[:count])
    room[0] = 2
    tower.embed(rows[:4])
    assert {bucket for bucket, program in made.items() if program() is not None} == {2}


def test_other_failures_say_at_which_batch() -> None:
    with pytest.raises(EngineError, match="cpu did not run a batch of 4 rows: illegal address"):
        tower_with_room_for(1, "illegal address").embed(np.zeros((3, 3), np.float32))


def test_memory_is_recognised_as_the_reason() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("any"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"))
    assert not is_out_of_memory(RuntimeError("illegal memory access"))
    second = RuntimeError("capture was invalidated")  # as of a graph whose recording broke off
    second.__context__ = RuntimeError("CUDA out of memory")
    assert is_out_of_memory(second)
    assert describe_memory(torch.device("cpu")) == "no room is left for cpu"


@gpu
@pytest.mark.gpu
@pytest.mark.parametrize("graphs", [True, False], ids=["graphs", "no-graphs"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_parity_on_a_gpu(checkpoint: Checkpoint, precision: str, graphs: bool) -> None:
    engine = CudaEngine(checkpoint, precision, graphs=graphs)
    for rows in (1, 3, 70, 1):
        check_parity(engine, checkpoint, rows, COSINE_TOLERANCE["bf16"])
    engine.close()
