"""Both towers of every preset become one TensorRT engine each, as far as a CPU can tell.

torch-tensorrt itself lowers and divides what we export; only TensorRT is a stub. Runs in a process
of its own, since the stub must not meet other tests.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from make_signatures import fetched

from vfd.model_config import PRESETS

SCRIPT = Path(__file__).parent / "dry_run_tensorrt.py"
MINUTES = 60.0
CASES = [*(f"{preset}:bf16" for preset in PRESETS), "nano:fp16", "vgg:fp16"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published wheel for the torch that is installed; 4 MB."""
    major, minor = torch.__version__.split(".")[:2]
    folder = tmp_path_factory.mktemp("wheel")
    try:
        with fetched(f"{major}.{minor}.0", folder) as archive:
            assert archive.filename is not None
            return Path(archive.filename)
    except subprocess.CalledProcessError as error:
        why = f"pip finds no torch-tensorrt {major}.{minor}.0: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


@pytest.mark.slow
@pytest.mark.timeout(15 * MINUTES)
def test_one_engine_and_full_coverage(wheel: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(wheel), *CASES],
        capture_output=True,
        text=True,
        timeout=14 * MINUTES,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    refused = found.pop("unsupported")  # so that full coverage is known to mean something
    assert "model is not fully supported" in refused["error"]
    assert found.keys() == set(CASES)
    for case, towers in found.items():
        print(case, towers)
        assert towers.keys() == {"voice", "face"}, f"{case}: {towers}"
        for tower in towers.values():
            assert tower["engines"] == 1
            assert tower["converted"] == tower["operators"] > 0
