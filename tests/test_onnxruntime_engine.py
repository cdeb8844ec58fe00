"""What the benchmark compares with says the same as the reference, and tells nobody that it ran."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
from checkpoints import TINY, write_checkpoint

from engines.torch_engine import TorchEngine
from vfd.checkpoint import load_checkpoint

EXPORT_AND_RUN = """
import sys
from pathlib import Path
import numpy as np
from engines.onnx_export import export_onnx
from engines.engine import EngineError
from engines.onnxruntime_engine import OnnxRuntimeEngine
from vfd.checkpoint import load_checkpoint
folder = Path(sys.argv[1])
engine = OnnxRuntimeEngine(*export_onnx(load_checkpoint(folder / "tiny.safetensors"), folder))
inputs = np.load(folder / "inputs.npz")
voices, faces = engine.embed_voice(inputs["voices"]), engine.embed_faces(inputs["faces"])
np.savez(folder / "outputs.npz", voices=voices, faces=faces)
(folder / "torn.onnx").write_bytes(b"torn")
for call in (
    lambda: engine.embed_voice(inputs["voices"][0]),
    lambda: OnnxRuntimeEngine(folder / "torn.onnx", folder / "torn.onnx"),
):
    try:
        call()
    except EngineError as error:
        print(error)
engine.close()
"""


def test_it_says_what_the_reference_says_and_reports_nothing(tmp_path: Path) -> None:
    """In a process of its own, as the library's choice is made when it is loaded."""
    checkpoint = load_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))
    rng = np.random.default_rng(3)
    voices = rng.standard_normal((2, 1, *TINY.voice.image)).astype(np.float32)
    faces = rng.integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    np.savez(tmp_path / "inputs.npz", voices=voices, faces=faces)
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", EXPORT_AND_RUN, str(tmp_path)],
        env=os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home)},
        check=True,
        timeout=100,
        capture_output=True,
        text=True,
    )
    assert "onnxruntime did not run a batch of shape (1, 512, 300): " in done.stdout
    assert "onnxruntime does not load the model: " in done.stdout
    with np.load(tmp_path / "outputs.npz") as found, closing(TorchEngine(checkpoint)) as reference:
        np.testing.assert_allclose(found["voices"], reference.embed_voice(voices), atol=1e-5)
        np.testing.assert_allclose(found["faces"], reference.embed_faces(faces), atol=1e-5)
    left = [path for path in home.rglob("*") if "Microsoft" in path.parts]
    assert not left, left
