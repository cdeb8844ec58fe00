"""Engines are built into a folder that serves, or nothing is written."""

import json
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from checkpoints import TINY, write_checkpoint
from validation_files import write_samples

from engines import build as building
from engines import openvino_engine
from engines.build import Order, build
from engines.engine import EngineError
from engines.load import load_engine
from engines.manifest import read_manifest
from engines.openvino_graph import tower_graphs
from vfd.checkpoint import Checkpoint, load_checkpoint

CROPS = np.random.default_rng(2).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """The towers of these tests are random, and float32 compares to the last digit."""
    monkeypatch.setattr(openvino_engine, "capabilities", lambda: ["FP32", "INT8"])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))


@pytest.fixture
def other(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(write_checkpoint(tmp_path / "other.safetensors", seed=1))


def faces(engine_folder: Path | None, checkpoint: Checkpoint) -> np.ndarray:
    engine = load_engine("openvino", checkpoint, folder=engine_folder)
    with closing(engine):
        return engine.embed_faces(CROPS)


def test_a_built_folder_serves_its_checkpoint_and_no_other(
    tmp_path: Path, checkpoint: Checkpoint, other: Checkpoint
) -> None:
    out = tmp_path / "new" / "engine"
    parity = build(checkpoint, out, Order(precision="f32"))
    assert parity.passed
    assert [p.name for p in out.parent.iterdir()] == ["engine"]
    np.testing.assert_allclose(faces(out, checkpoint), faces(None, checkpoint), atol=1e-5)
    with pytest.raises(EngineError, match="weights_sha256"):
        faces(out, other)


@pytest.mark.parametrize("name", ["voice.bin", "face.xml", "manifest.json"])
def test_a_file_of_half_the_size_is_refused(
    tmp_path: Path, checkpoint: Checkpoint, name: str
) -> None:
    out = tmp_path / "engine"
    build(checkpoint, out, Order(precision="f32"))
    file = out / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(EngineError, match=rf"{name}.*build"):
        faces(out, checkpoint)


def test_a_torn_onnx_file_is_noticed(tmp_path: Path, checkpoint: Checkpoint) -> None:
    out = tmp_path / "engine"
    assert build(checkpoint, out, Order(precision="f32", onnx=True)).passed
    assert sorted(read_manifest(out).files) == sorted(
        f"{tower}.{end}" for tower in ("voice", "face") for end in ("bin", "onnx", "xml")
    )
    file = out / "voice.onnx"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(EngineError, match=r"voice\.onnx: has \d+ bytes"):
        faces(out, checkpoint)


def test_an_ir_that_openvino_cannot_read_is_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    out = tmp_path / "engine"
    build(checkpoint, out, Order(precision="f32"))
    xml = out / "face.xml"
    xml.write_bytes(b"<net" + b" " * (xml.stat().st_size - 4))
    with pytest.raises(EngineError, match=r"cannot read it.*build it again"):
        faces(out, checkpoint)


def test_an_engine_of_another_release_is_refused(tmp_path: Path, checkpoint: Checkpoint) -> None:
    out = tmp_path / "engine"
    build(checkpoint, out, Order(precision="f32"))
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["versions"]["openvino"] = "1999"
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(EngineError, match=r"version of openvino is '1999'.*vfd-engine build"):
        faces(out, checkpoint)


def test_what_fails_the_check_is_not_written(
    tmp_path: Path, checkpoint: Checkpoint, other: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "tower_graphs", lambda *_: tower_graphs(TINY, other.tensors))
    before = set(tmp_path.iterdir())
    parity = build(checkpoint, tmp_path / "engine", Order(precision="f32"))
    assert not parity.passed
    assert set(tmp_path.iterdir()) == before


def test_int8_that_loses_accuracy_is_not_written(
    tmp_path: Path, checkpoint: Checkpoint, other: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stands in for a quantisation that went wrong: the towers of other weights."""
    monkeypatch.setattr(building, "quantised_graphs", lambda *_: tower_graphs(TINY, other.tensors))
    order = Order(int8=True, validation=write_samples(tmp_path / "people.npz", 48))
    parity = build(checkpoint, tmp_path / "engine", order)
    assert not parity.passed
    assert "upper end of its 95 % interval" in parity.problems[0]
    assert not (tmp_path / "engine").exists()


def test_int8_that_loses_nothing_is_written(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stands in for a perfect quantisation: the towers as they are."""
    towers = tower_graphs(TINY, checkpoint.tensors)
    monkeypatch.setattr(building, "quantised_graphs", lambda *_: towers)
    order = Order(int8=True, validation=write_samples(tmp_path / "people.npz", 48))
    parity = build(checkpoint, tmp_path / "engine", order)
    assert parity.passed
    assert parity.auc_loss is not None
    assert parity.auc_loss.high <= 0.003
    with closing(load_engine("auto", checkpoint, folder=tmp_path / "engine")) as engine:
        assert (engine.name, engine.precision) == ("openvino", "int8")


def test_nothing_is_written_without_a_reference_to_compare_with(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "engines.torch_engine", None)
    with pytest.raises(EngineError, match="torch cannot be imported"):
        build(checkpoint, tmp_path / "engine", Order(precision="f32"))
    assert not (tmp_path / "engine").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of NNCF and what it imports
def test_int8_is_built_by_nncf_and_runs(tmp_path: Path, checkpoint: Checkpoint) -> None:
    order = Order(int8=True, validation=write_samples(tmp_path / "people.npz", 48))
    out = tmp_path / "engine"
    parity = build(checkpoint, out, order)
    assert parity.precision == "int8"
    assert parity.voices == 24  # the others set the scales
    assert parity.max_cosine_difference < 0.2
    assert parity.auc_loss is not None
    assert out.exists() is parity.passed


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (Order(engine="cuda"), "'cuda' needs no building: choose one of openvino, tensorrt"),
        (Order(int8=True), "give --validation FILE"),
        (Order(int8=True, engine="tensorrt"), "int8 is built for OpenVINO only"),
        (
            Order(int8=True, precision="f32", validation=Path("people.npz")),
            "leave out --int8 or --precision f32",
        ),
        (Order(plan=True), "a plan is TensorRT's"),
        (Order(precision="fp16"), "no precision 'fp16'"),
    ],
)
def test_orders_that_make_no_sense_are_refused(
    tmp_path: Path, checkpoint: Checkpoint, order: Order, message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        build(checkpoint, tmp_path / "engine", order)


def test_a_folder_in_use_is_not_overwritten(tmp_path: Path, checkpoint: Checkpoint) -> None:
    with pytest.raises(EngineError, match="is not empty"):
        build(checkpoint, tmp_path, Order())
