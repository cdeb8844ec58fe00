"""Preparation on a Ray cluster of this machine, where Ray is installed."""

from pathlib import Path

import pytest

from tests.talking_files import talking
from training.cli import main
from training.clips import Split
from training.shard_set import open_split

pytest.importorskip("ray", reason="an extra: pip install 'vfd-monitor[ray]'")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_cluster_makes_what_processes_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in range(3):
        talking(tmp_path / "mine" / f"p{person}" / "a.mp4", person, seconds=1.3)
    quick = ["--shard-clips", "1", "--faces", "1", "--variants", "0", "--out"]
    for name, how in (("ray", ["--ray", "local"]), ("here", [])):
        assert (
            main(["prepare", "folder", str(tmp_path / "mine"), *quick, str(tmp_path / name), *how])
            == 0
        )
    assert "3/3 clips" in capsys.readouterr().err
    for split in Split:
        open_split(tmp_path / "ray", split)
    for tar in (tmp_path / "here").glob("*.tar"):
        assert (tmp_path / "ray" / tar.name).read_bytes() == tar.read_bytes()
