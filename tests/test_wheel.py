"""What is installed: the packages, their data, no tests."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.timeout(180)
def test_the_wheel_holds_the_product_and_no_tests(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir")
    # Built as this machine would: an isolated build would fetch setuptools for every run.
    subprocess.run([*command, tmp_path, "--no-build-isolation", ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"vfd", "engines", "monitor", "training"}
    for needed in (
        "vfd/weights/nano.safetensors",
        "vfd/py.typed",
        "monitor/static/publish.html",
        "monitor/static/publish.js",
        "training/call.py",
        "monitor/ops/vfd.rules.yml",
        "monitor/ops/grafana/vfd-overview.json",
        "training/readers/voxceleb2.py",
        "engines/samples.npz",
        "training/data/table1.csv",
        *(f"training/recipes/{path.name}" for path in (ROOT / "training/recipes").glob("*.toml")),
    ):
        assert needed in names
    assert "training/recipes/paper-pretrain.toml" in names
    assert wheel.stat().st_size < 20_000_000
