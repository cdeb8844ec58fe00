"""Table 1 as printed, and what is said beside our rows."""

import pytest

from training.measures import Result
from training.paper_table import COLUMNS, PROTOCOL, markdown, our_row, paper_rows
from vfd.metrics import Interval


def test_all_26_rows_are_there() -> None:
    rows = {row.model: row for row in paper_rows()}
    assert len(rows) == 26
    assert [rows["VFD"].values[c] for c in COLUMNS] == [80.96, 85.13, 81.52, 86.11, 99.95, 99.82]
    assert rows["ViT_F"].values["dfdc_auc"] == 71.16
    assert rows["EfficientNet"].values["dfdc_auc"] is None
    assert rows["BA-TFD"].audio
    assert not rows["Meso-4"].audio
    assert rows["Headpose"].values["timit_hq_auc"] == 53.20


def test_vfd_is_best_wherever_the_table_has_it() -> None:
    *baselines, vfd = paper_rows()
    for column in COLUMNS:
        best = max(row.values[column] or 0 for row in baselines)
        assert (vfd.values[column] or 0) > best


def test_no_value_is_outside_of_per_cent() -> None:
    for row in paper_rows():
        assert all(v is None or 40 < v < 100 for v in row.values.values()), row.model


def test_ours_stand_below_with_coverage_and_protocol() -> None:
    measured = {"auc": Interval(0.7, 0.6, 0.8), "accuracy": Interval(0.65, 0.6, 0.7)}
    result = Result(measured, None, 0.1, 10, 20, 9, 0.9)
    row = our_row("ours", {"fakeavceleb": result, "timit-lq": result})
    text = markdown([*paper_rows(), row])
    assert "| ours * (coverage 90 %, 90 %) |" in text
    assert "| - | - | 65.00 | 70.00 | 70.00 | - |" in text
    assert text.endswith(PROTOCOL)
    with pytest.raises(ValueError, match="Table 1 has dfdc"):
        our_row("ours", {"celeb-df": result})
