"""What is written says the same as torch, or is not written."""

import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoints import FAMILIES, TINY, write_checkpoint

from engines import onnx_export
from engines.engine import EngineError
from engines.onnx_export import export_onnx
from engines.torch_engine import TorchEngine
from vfd.checkpoint import load_checkpoint
from vfd.model_config import ModelConfig
from vfd.openvino_core import openvino_core


@pytest.mark.parametrize("config", FAMILIES, ids=lambda c: c.preset)
def test_parity_in_another_runtime(tmp_path: Path, config: ModelConfig) -> None:
    checkpoint = load_checkpoint(write_checkpoint(tmp_path / "any.safetensors", config))
    folder = tmp_path / "onnx"
    paths = export_onnx(checkpoint, folder)
    assert [path.name for path in paths] == ["voice.onnx", "face.onnx"]
    assert sorted(folder.iterdir()) == sorted(paths)  # weights within
    assert b"face.projection" not in paths[0].read_bytes()  # each its own tower only
    reference = TorchEngine(checkpoint)
    rng = np.random.default_rng(2)
    voices = rng.standard_normal((5, 1, *config.voice.image)).astype(np.float32)
    faces = rng.integers(0, 256, (5, 224, 224, 3), dtype=np.uint8)
    for path, name, batch, embed in (
        (paths[0], "spectrograms", voices, reference.embed_voice),
        (paths[1], "crops", faces, reference.embed_faces),
    ):
        in_float32 = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino_core().compile_model(str(path), "CPU", in_float32)
        (found,) = compiled({name: batch}).values()
        difference = np.abs(found - embed(batch))
        print(f"{path.name}: max {difference.max():.1e} mean {difference.mean():.1e}")
        assert difference.max() < 1e-5
        assert {o.get_any_name() for o in compiled.outputs} == {"embeddings"}


def test_a_file_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = load_checkpoint(write_checkpoint(tmp_path / "any.safetensors", TINY))
    monkeypatch.setattr(onnx_export, "TOLERANCE", 0.0)
    with pytest.raises(EngineError, match=r"voice.onnx differs from torch by .*was not kept"):
        export_onnx(checkpoint, tmp_path / "onnx")
    assert list((tmp_path / "onnx").iterdir()) == []


def test_a_missing_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(write_checkpoint(tmp_path / "any.safetensors", TINY))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(EngineError, match=r"install vfd-monitor\[onnx\]"):
        export_onnx(checkpoint, tmp_path / "onnx")
