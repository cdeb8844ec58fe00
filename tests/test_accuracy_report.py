"""The whole evaluation, on a handful of people and a model that knows nothing."""

import json
from pathlib import Path

import pytest

from tests.checkpoints import write_checkpoint
from training.accuracy_report import markdown, write_report
from training.evaluate import Report, evaluate
from training.prepare import Amounts, prepare


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("evaluated")
    prepare(folder, Amounts(5, 1, 5, faces=1, voices=1, clip_s=3.0), seed=2, workers=1)
    return evaluate(write_checkpoint(folder / "random.safetensors"), folder)


def test_every_scorer_is_measured_on_the_same_pairs(report: Report) -> None:
    assert report.identities == 5
    assert report.pairs == 5 + 5 * 4
    assert list(report.accuracy)[:3] == ["model", "best possible", "colour and pitch"]
    best = report.accuracy["best possible"].overall
    assert best.value > 0.9
    assert all(a.overall.value <= best.value + 1e-9 for a in report.accuracy.values())


def test_the_report_says_what_it_is_and_where_from(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path, "vfd-train evaluate --seed 0")
    text = (tmp_path / "accuracy.md").read_text()
    assert text == markdown(report, "vfd-train evaluate --seed 0")
    assert "nothing about real" in text
    assert "vfd-train pretrain --seed 1" in text  # how the model was made
    assert f"{report.accuracy['model'].overall.value:.4f}" in text
    values = json.loads((tmp_path / "accuracy.json").read_text())
    assert values["accuracy"]["model"]["overall"]["value"] == pytest.approx(
        report.accuracy["model"].overall.value
    )
    assert values["command"] == "vfd-train evaluate --seed 0"
