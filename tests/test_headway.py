"""Beside the best possible, the goals and the trivial baseline, by hand."""

import dataclasses
from pathlib import Path

import pytest

from training import headway
from training.accuracy_report import as_json, markdown, write_report
from training.evaluate import BEST, MODEL, TRIVIAL, Evaluation
from training.measures import Result
from training.score_files import ScoreTable
from vfd.metrics import Interval


def result(auc: Interval, within: Interval) -> Result:
    return Result({"auc": auc}, within, 0.2, 40, 60, 20, 1.0)


def evaluation(line: str = "call") -> Evaluation:
    """The model has gone 4 / 5 of the way overall, and all of it within one sex."""
    nothing = dict.fromkeys((MODEL, BEST, TRIVIAL), None)
    tables: dict[str, ScoreTable] = nothing  # type: ignore[assignment]
    results = {
        MODEL: result(Interval(0.9, 0.94, 0.96), Interval(0.8, 0.79, 0.9)),
        BEST: result(Interval(1.0, 1.0, 1.0), Interval(0.8, 0.7, 0.9)),
    }
    lead = {"auc": Interval(0.25, 0.2, 0.3), "auc_same_sex": Interval(-0.1, -0.2, 0.0)}
    return Evaluation("nano", tables, results, [], differences={TRIVIAL: lead}, data={"line": line})


def test_the_way_to_the_best_possible() -> None:
    assert headway.headway(evaluation()) == pytest.approx({"auc": 0.8, "auc_same_sex": 1.0})
    alone = dataclasses.replace(evaluation(), results={MODEL: evaluation().result})
    assert headway.headway(alone) == {}


def test_goals_are_met_by_the_lower_end() -> None:
    text = headway.markdown(evaluation())
    assert text[0] == "| | overall | within one sex |"
    assert text[2:] == [
        "| of the way from 0.5 to the best possible (goal: 90 %) | 80.0 % | 100.0 % |",
        "| lower end of the interval against the first goals, 0.93 and 0.80 | met | not met |",
        "| lower end of the interval against the goals, 0.95 and 0.85 | not met | not met |",
        "| AUC of model less colour and pitch | +0.2500 (+0.2000 to +0.3000) | "
        "-0.1000 (-0.2000 to +0.0000) |",
    ]


def test_goals_are_for_the_line_of_a_call() -> None:
    text = "\n".join(headway.markdown(evaluation("low-rate")))
    assert "80.0 %" in text
    assert "met" not in text


def test_the_report_says_it_names_the_codecs_and_links_the_pictures(tmp_path: Path) -> None:
    found = evaluation()
    text = markdown([found], "typed")
    assert "VP8 at 500 kbit/s" in text
    assert "80.0 %" in text
    write_report([found], tmp_path, "typed", {"nano": [tmp_path / "similarity-patient-1.png"]})
    written = (tmp_path / "accuracy.md").read_text()
    assert "nano: [similarity-patient](similarity-patient-1.png)" in written
    assert (tmp_path / "accuracy.json").read_text() == as_json([found], "typed") + "\n"
