"""Preparation on a Ray cluster of this machine; Ray must be there in continuous integration."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.talking_files import talking


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None and "CI" not in os.environ,
    reason="an extra: pip install 'vfd-monitor[ray]'",
)
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_cluster_makes_what_one_machine_makes(tmp_path: Path) -> None:
    for person in range(3):
        talking(tmp_path / "mine" / f"p{person}" / "a.mp4", person, seconds=1.3)
    command = [sys.executable, "-m", "training.cli", "prepare", "folder", tmp_path / "mine"]
    command += ["--shard-clips", "1", "--faces", "1", "--variants", "0", "--out"]
    done = subprocess.run(  # a process of its own: Ray leaves threads behind
        [*command, tmp_path / "ray", "--ray", "local"], capture_output=True, text=True, check=True
    )
    assert "3/3 clips" in done.stderr
    subprocess.run([*command, tmp_path / "here"], capture_output=True, check=True)
    made = sorted((tmp_path / "here").glob("*.tar"))
    assert len(made) == 3
    for tar in made:
        assert (tmp_path / "ray" / tar.name).read_bytes() == tar.read_bytes()
