"""What several sweeps found, compared seed by seed."""

from pathlib import Path

import numpy as np
import pytest

from training.arms import Arm, mean_interval, read_arms, table
from training.cli import main


def sweep(folder: Path, found: dict[int, float]) -> Path:
    folder.mkdir()
    rows = [f"200,{seed},{auc}" for seed, auc in found.items()]
    path = folder / "sweep.csv"
    path.write_text("\n".join(["optimiser.steps,seed,synthetic", *rows]) + "\n")
    return path


def test_students_interval_of_a_mean() -> None:
    found = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert found.value == 2
    assert found.high - 2 == pytest.approx(4.3027 / 3**0.5, abs=1e-4)  # t of 2 degrees, s = 1
    assert np.isnan(mean_interval(np.array([1.0])).low)


def test_differences_are_paired_by_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = sweep(tmp_path / "full", {1: 0.90, 2: 0.80, 3: 0.85})
    other = sweep(tmp_path / "without", {3: 0.84, 1: 0.89, 2: 0.79})
    assert main(["compare", str(base), str(other), "--column", "synthetic"]) == 0
    full, without = capsys.readouterr().out.splitlines()[2:]
    assert full == "| full, optimiser.steps 200 | 3 | 0.8500 (0.7258 to 0.9742) | - |"
    assert without.endswith("| -0.0100 (-0.0100 to -0.0100) |")


def test_seeds_that_only_one_has_are_left_out_of_the_difference() -> None:
    base = Arm("a", {1: 0.5, 2: 0.6})
    lines = table([base, Arm("b", {2: 0.7, 3: 0.9}), Arm("c", {3: 0.9})]).splitlines()
    assert lines[3].endswith("| +0.1000 (one seed) |")
    assert lines[4].endswith("| 0.9000 (one seed) | no seed in common |")


def test_a_column_that_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sweep(tmp_path / "full", {1: 0.9})
    assert main(["compare", str(path)]) == 2
    assert f"{path}: there is no column 'validation', only" in capsys.readouterr().err


def test_every_value_of_a_sweep_is_an_arm(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text("data.real_clips,seed,validation\n100,1,0.7\n100,2,0.8\n1000,1,0.9\n")
    few, many = read_arms([path], "validation")
    assert few.found == {1: 0.7, 2: 0.8}
    assert many == Arm(f"{tmp_path.name}, data.real_clips 1000", {1: 0.9})
