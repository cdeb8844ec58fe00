"""Both engines say the same, refuse the same, and the serving one stays light and silent."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from checkpoints import FAMILIES, TINY, TINY_RELEASED, write_checkpoint

from engines.engine import Engine, EngineError
from engines.load import load_engine
from vfd.checkpoint import Checkpoint, load_checkpoint
from vfd.model_config import PRESETS, ModelConfig

TOLERANCE = 1e-4  # of a coordinate of a unit vector


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))


@pytest.fixture(params=["openvino", "torch"])
def engine(request: pytest.FixtureRequest, checkpoint: Checkpoint) -> Iterator[Engine]:
    with closing(load_engine(request.param, checkpoint)) as loaded:
        yield loaded


def inputs(rows: int, config: ModelConfig = TINY) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    voices = rng.standard_normal((rows, 1, *config.voice.image)).astype(np.float32)
    return voices, rng.integers(0, 256, (rows, 224, 224, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "config", [*FAMILIES, PRESETS["nano"], PRESETS["tiny"]], ids=lambda c: c.preset
)
def test_parity_of_openvino_and_torch(tmp_path: Path, config: ModelConfig) -> None:
    loaded = load_checkpoint(write_checkpoint(tmp_path / "any.safetensors", config))
    openvino = load_engine("openvino", loaded, precision="f32")
    torch = load_engine("torch", loaded)
    voices, faces = inputs(3, config)
    for name, batch in (("embed_voice", voices), ("embed_faces", faces)):
        ours, reference = getattr(openvino, name)(batch), getattr(torch, name)(batch)
        difference = np.abs(ours - reference)
        print(f"{config.preset} {name}: max {difference.max():.1e} mean {difference.mean():.1e}")
        assert ours.shape == reference.shape == (3, config.embedding)
        assert ours.dtype == reference.dtype == np.float32
        assert difference.max() < TOLERANCE
        assert np.ptp(reference, axis=0).max() > 50 * TOLERANCE  # the rows do differ


def test_embeddings_are_of_unit_length_and_rows_independent(engine: Engine) -> None:
    voices, faces = inputs(5)
    for embed, batch in ((engine.embed_voice, voices), (engine.embed_faces, faces)):
        together = embed(batch)
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(embed(batch[2:3]), together[2:3], atol=1e-6)
        assert embed(batch[:0]).shape == (0, TINY.embedding)
        np.testing.assert_array_equal(embed(batch), together)  # also at the first shape again


def test_results_outlive_the_next_call(engine: Engine) -> None:
    voices, _ = inputs(2)
    first = engine.embed_voice(voices[:1])
    kept = first.copy()
    engine.embed_voice(voices[1:])
    np.testing.assert_array_equal(first, kept)


def test_read_only_and_strided_batches_are_taken(engine: Engine) -> None:
    voices, faces = inputs(4)
    expected = engine.embed_faces(faces[::2].copy())
    faces.flags.writeable = False
    np.testing.assert_array_equal(engine.embed_faces(faces[::2]), expected)
    assert engine.embed_voice(voices[::-1]).shape == (4, TINY.embedding)


def test_batches_that_do_not_fit_are_refused(engine: Engine) -> None:
    voices, faces = inputs(1)
    for bad in (voices[:, :, :100], voices[0], voices.astype(np.float64), faces):
        with pytest.raises(EngineError, match=r"not \(rows, 1, 512, 300\) float32"):
            engine.embed_voice(bad)
    for bad in (faces[:, :100], faces.astype(np.float32), voices):
        with pytest.raises(EngineError, match=r"not \(rows, 224, 224, 3\) uint8"):
            engine.embed_faces(bad)


def test_a_closed_engine_says_so(engine: Engine) -> None:
    voices, faces = inputs(1)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.embed_voice(voices)
    with pytest.raises(EngineError, match="closed"):
        engine.embed_faces(faces)


def test_the_front_end_of_the_checkpoint_decides_what_fits(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "released.safetensors", TINY_RELEASED)
    for name in ("openvino", "torch"):
        engine = load_engine(name, load_checkpoint(path))
        with pytest.raises(EngineError, match=r"not \(rows, 1, 128, 256\) float32"):
            engine.embed_voice(inputs(1)[0])


def test_impossible_settings_say_what_to_check(checkpoint: Checkpoint) -> None:
    with pytest.raises(EngineError, match=r"(?s)cannot compile the 'tiny-test'.*threads"):
        load_engine("openvino", checkpoint, threads=-3)


@pytest.mark.parametrize(("name", "library"), [("openvino", "OpenVINO"), ("torch", "torch")])
def test_a_missing_library_says_what_to_install(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    monkeypatch.delitem(sys.modules, f"engines.{name}_engine")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match=f"{library} cannot be imported.*install"):
        load_engine(name, checkpoint)


SERVE = """
import sys
calls = []
def hook(event, args):
    if event.startswith("socket.") and event != "socket.__new__":
        calls.append((event, args[1:]))
sys.addaudithook(hook)
import numpy as np
from pathlib import Path
import {first}
from engines.load import load_engine
from vfd.checkpoint import load_checkpoint
import vfd.faces
engine = load_engine("auto", load_checkpoint(Path(sys.argv[1])))
engine.embed_faces(np.zeros((1, 224, 224, 3), np.uint8))
engine.close()
assert "torch" not in sys.modules, "torch was loaded"
assert "openvino" in sys.modules
assert sys.modules["openvino_telemetry"] is None
assert not calls, calls
"""


@pytest.mark.parametrize("first", ["vfd.faces", "engines.openvino_engine"])
def test_serving_loads_no_torch_and_calls_nobody(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, first: str
) -> None:
    """In a home without an earlier answer to openvino's question, outside of any CI."""
    path = write_checkpoint(tmp_path / "tiny.safetensors")
    environment = {k: v for k, v in os.environ.items() if k != "CI"} | {"HOME": str(tmp_path)}
    environment["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    done = subprocess.run(
        [sys.executable, "-c", SERVE.format(first=first), str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # no consent file either
