"""The report in the repository is of the weights in the repository, and these are good enough."""

import json
from pathlib import Path

from training.headway import GOALS
from vfd.checkpoint import load_checkpoint, shipped_checkpoint_path

REPORT = Path(__file__).parents[1] / "training" / "reports" / "accuracy.json"


def test_the_report_is_of_the_weights_that_ship_and_they_meet_the_first_goals() -> None:
    report = json.loads(REPORT.read_text())
    first = report["evaluations"][0]  # whose measures stand at the top
    shipped = load_checkpoint(shipped_checkpoint_path())
    assert first["provenance"]["tensors_sha256"] == shipped.tensors_sha256
    assert (first["data"]["split"], first["data"]["line"]) == ("test", "call")
    for part, (goal, _) in GOALS.items():
        assert report[f"{part}_low"] >= goal
