"""Building and loading TensorRT engines, as far as it goes without TensorRT; and with it, on a
GPU."""

import dataclasses
import importlib.machinery
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path

import fake_torch_tensorrt as fake
import numpy as np
import pytest
import torch
from checkpoints import FAMILIES, TINY, TINY_RELEASED, write_checkpoint

from engines import build as building
from engines import tensorrt_build
from engines.engine import Engine, EngineError
from engines.manifest import MANIFEST_NAME, read_manifest, write_manifest
from engines.tensorrt_build import build, build_plan, import_torch_tensorrt
from engines.tensorrt_engine import TensorRtEngine
from engines.torch_engine import TorchEngine
from vfd.checkpoint import Checkpoint, load_checkpoint
from vfd.model_config import ModelConfig

BF16_COSINE_TOLERANCE = 5e-3


def has_tensorrt() -> bool:
    try:
        import_torch_tensorrt()
    except EngineError:
        return False
    return torch.cuda.is_available()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake in place of torch_tensorrt, and a version of TensorRT."""
    monkeypatch.setitem(sys.modules, "torch_tensorrt", fake)
    tensorrt = types.ModuleType("tensorrt")
    tensorrt.__version__ = "11.0.0"  # type: ignore[attr-defined]
    tensorrt.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)  # torch looks for it
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    monkeypatch.setattr(fake.dynamo, "asked", ())


def check_parity(engine: TensorRtEngine, checkpoint: Checkpoint, rows: int) -> None:
    reference, config = TorchEngine(checkpoint), checkpoint.info.config
    rng = np.random.default_rng(6)
    voices = rng.standard_normal((rows, 1, *config.voice.image)).astype(np.float32)
    faces = rng.integers(0, 256, (rows, 224, 224, 3), dtype=np.uint8)
    for name, batch in (("embed_voice", voices), ("embed_faces", faces)):
        ours, theirs = getattr(engine, name)(batch), getattr(reference, name)(batch)
        errors = 1 - (ours * theirs).sum(axis=1)
        print(f"{name}: cosine error max {errors.max():.1e} mean {errors.mean():.1e}")
        assert errors.max() < BF16_COSINE_TOLERANCE


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("config", FAMILIES, ids=lambda c: c.preset)
def test_build_load_and_run(tmp_path: Path, config: ModelConfig) -> None:
    checkpoint = load_checkpoint(write_checkpoint(tmp_path / "any.safetensors", config))
    folder = tmp_path / "built" / "engine"
    manifest = build(checkpoint, folder, max_batch=4, device="cpu")
    assert manifest == read_manifest(folder)
    assert manifest.batches == (1, 4, 4)
    assert manifest.versions.keys() == {"tensorrt", "torch_tensorrt", "torch", "driver"}
    engine = TensorRtEngine(checkpoint, folder, device="cpu")
    for rows in (1, 6):  # the second takes two batches
        check_parity(engine, checkpoint, rows)
    engine.close()


@pytest.mark.usefixtures("library")
def test_towers_are_cast_before_they_are_exported(checkpoint: Checkpoint, tmp_path: Path) -> None:
    build(checkpoint, tmp_path / "engine", "fp16", device="cpu")
    voice, face = fake.dynamo.asked
    assert voice["arg_inputs"][0].shapes == (
        (1, 1, 512, 300),
        (64, 1, 512, 300),
        (256, 1, 512, 300),
    )
    assert face["arg_inputs"][0].shapes[2] == (256, 3, 224, 224)
    for asked in (voice, face):
        assert asked["arg_inputs"][0].dtype == torch.float16
        assert asked["use_fp32_acc"]
        weights = asked["exported_program"].state_dict.values()
        assert {w.dtype for w in weights} == {torch.float16}


@pytest.mark.usefixtures("library")
def test_memory_that_runs_out_while_loading_means_smaller_batches(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(checkpoint, tmp_path / "engine", max_batch=4, device="cpu")
    engine = TensorRtEngine(checkpoint, tmp_path / "engine", device="cpu")

    def full(_path: Path) -> None:
        raise RuntimeError("engine setup failed") from RuntimeError("Cuda Runtime (out of memory)")

    monkeypatch.setattr(torch.export, "load", full)
    check_parity(engine, checkpoint, 3)
    assert engine.voice is not None
    assert engine.voice.largest == 1


@pytest.mark.usefixtures("library")
def test_plans(checkpoint: Checkpoint, tmp_path: Path) -> None:
    paths = build_plan(checkpoint, tmp_path / "plans", max_batch=8, device="cpu")
    assert [path.name for path in paths] == ["voice.plan", "face.plan"]
    assert paths[1].read_bytes() == b"((1, 3, 224, 224), (8, 3, 224, 224), (8, 3, 224, 224))"


@pytest.mark.usefixtures("library")
def test_plans_are_listed_with_the_engine(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_name: str, checkpoint: Checkpoint, folder: Path | None = None) -> Engine:
        if folder is None:
            return TorchEngine(checkpoint)
        return TensorRtEngine(checkpoint, folder, device="cpu")

    monkeypatch.setattr(building, "load_engine", load)
    for name, builder in (("build", build), ("build_plan", build_plan)):
        monkeypatch.setattr(tensorrt_build, name, partial(builder, max_batch=8, device="cpu"))
    out = tmp_path / "engine"
    assert building.build(checkpoint, out, building.Order("tensorrt", plan=True)).passed
    assert read_manifest(out).files.keys() == {
        "voice.pt2",
        "face.pt2",
        "voice.plan",
        "face.plan",
    }


@pytest.mark.usefixtures("library")
def test_an_engine_that_does_not_fit(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    manifest = build(checkpoint, folder, max_batch=2, device="cpu")
    other = load_checkpoint(write_checkpoint(tmp_path / "other.safetensors", seed=1))
    with pytest.raises(EngineError, match=r"weights_sha256 is .* need .*vfd-engine build"):
        TensorRtEngine(other, folder, device="cpu")
    write_manifest(folder, dataclasses.replace(manifest, device="NVIDIA L4"))
    with pytest.raises(EngineError, match=r"device is 'NVIDIA L4'.*need 'cpu'.*vfd-engine build"):
        TensorRtEngine(checkpoint, folder, device="cpu")


@pytest.mark.usefixtures("library")
def test_an_engine_of_another_release_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    manifest = build(checkpoint, folder, max_batch=2, device="cpu")
    for library in ("tensorrt", "torch_tensorrt", "torch", "driver"):
        versions = {**manifest.versions, library: "10.15.1"}
        write_manifest(folder, dataclasses.replace(manifest, versions=versions))
        found = rf"version of {library} is '10.15.1', this machine .* need .*: vfd-engine build"
        with pytest.raises(EngineError, match=found):
            TensorRtEngine(checkpoint, folder, device="cpu")


@pytest.mark.usefixtures("library")
def test_an_engine_that_is_not_whole(
    checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "engine"
    manifest = build(checkpoint, folder, max_batch=2, device="cpu")
    path = folder / "face.pt2"
    half = path.read_bytes()[: manifest.files["face.pt2"] // 2]
    path.write_bytes(half)
    with pytest.raises(EngineError, match=r"face.pt2: has \d+ bytes, not \d+; build the engine"):
        TensorRtEngine(checkpoint, folder, device="cpu")
    path.write_bytes(bytes(manifest.files["face.pt2"]))
    with pytest.raises(EngineError, match=r"face.pt2: TensorRT does not load it.*build the engine"):
        TensorRtEngine(checkpoint, folder, device="cpu")
    (folder / MANIFEST_NAME).unlink()
    with pytest.raises(EngineError, match="no engine was built here, or its build broke off"):
        TensorRtEngine(checkpoint, folder, device="cpu")
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Exception("kernel"), r"did not build the voice tower of 'tiny-test': kernel$"),
        (RuntimeError("CUDA out of memory"), r"CUDA out of memory \(no room is left for cpu\)$"),
    ],
)
def test_a_build_that_breaks_off_leaves_no_engine(
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    message: str,
) -> None:
    folder = tmp_path / "engine"
    build(checkpoint, folder, max_batch=2, device="cpu")
    monkeypatch.setattr(fake.dynamo, "error", error)
    with pytest.raises(EngineError, match=message):
        build(checkpoint, folder, max_batch=2, device="cpu")
    with pytest.raises(EngineError, match="its build broke off"):
        TensorRtEngine(checkpoint, folder, device="cpu")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("builder", [build, build_plan])
def test_a_tower_that_is_not_exported_is_named(
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    builder: Callable[..., object],
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(tensorrt_build, "export_open_batch", full)
    message = r"did not build the voice tower of 'tiny-test': CUDA out of memory \(no room"
    with pytest.raises(EngineError, match=message):
        builder(checkpoint, tmp_path / "engine", device="cpu")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("parts", [(), ("_run_on_acc_0", "_run_on_gpu_1"), ("_run_on_gpu_0",)])
def test_a_tower_that_is_not_one_engine_is_refused(
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: tuple[str, ...],
) -> None:
    monkeypatch.setattr(fake.dynamo, "parts", parts)
    with pytest.raises(EngineError, match="it is not one engine but the parts"):
        build(checkpoint, tmp_path / "engine", max_batch=2, device="cpu")


@pytest.mark.usefixtures("library")
def test_impossible_wishes(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="in bf16 or fp16 here, not in 'f32'"):
        build(checkpoint, tmp_path / "engine", "f32", device="cpu")
    for max_batch in (1, 257):
        with pytest.raises(EngineError, match=f"max_batch is {max_batch}, not between 2 and 256"):
            build(checkpoint, tmp_path / "engine", max_batch=max_batch, device="cpu")
    released = load_checkpoint(write_checkpoint(tmp_path / "released.safetensors", TINY_RELEASED))
    with pytest.raises(EngineError, match=r"exceed what fp16 holds"):
        build(released, tmp_path / "engine", "fp16", device="cpu")


def test_a_missing_library_says_what_to_install(
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As the library fails without TensorRT: it prints, then raises a bare Exception."""
    package = tmp_path / "torch_tensorrt"
    package.mkdir()
    (package / "__init__.py").write_text("print('error'); raise Exception('no libnvinfer.so')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch_tensorrt", raising=False)
    with pytest.raises(EngineError, match=r"\(no libnvinfer.so\): install vfd-monitor\[tensorrt\]"):
        build(checkpoint, tmp_path / "engine", device="cpu")
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("library")
def test_tensorrt_is_looked_for_before_anything_is_built(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match=r"tensorrt.*: install vfd-monitor\[tensorrt\]"):
        build(checkpoint, tmp_path / "engine", device="cpu")
    assert fake.dynamo.asked == ()


@pytest.mark.gpu
@pytest.mark.skipif(not has_tensorrt(), reason="needs torch_tensorrt, TensorRT and a CUDA device")
@pytest.mark.parametrize("graphs", [True, False], ids=["graphs", "no-graphs"])
def test_parity_on_a_gpu(checkpoint: Checkpoint, tmp_path: Path, graphs: bool) -> None:
    assert checkpoint.info.config == TINY
    build(checkpoint, tmp_path / "engine")
    engine = TensorRtEngine(checkpoint, tmp_path / "engine", graphs)
    for rows in (1, 3, 70, 1):
        check_parity(engine, checkpoint, rows)
    engine.close()
