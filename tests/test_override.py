import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from monitor.assembly import decision_limits
from monitor.config import Config, ConfigError, DecisionConfig
from monitor.override import read_override, write_override
from tests.fakes import DECISION, checkpoint

SHA256 = checkpoint().sha256


def test_it_comes_back_and_wins_over_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "ours.json"
    own = dataclasses.replace(DECISION, centre=0.05)
    write_override(path, own, SHA256, "events.jsonl")
    assert read_override(path, SHA256) == own
    config = Config(decision=DecisionConfig(calibration=str(path)))
    assert decision_limits(config, checkpoint()).match_above == pytest.approx(0.05)
    assert [p.name for p in tmp_path.iterdir()] == ["ours.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 1"),
        ({"checkpoint_sha256": "0" * 64}, "other weights"),
        ({"decision": {}}, "decision: field .* is missing"),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "ours.json"
    write_override(path, DECISION, SHA256, "-")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    config = Config(decision=DecisionConfig(calibration=str(path)))
    with pytest.raises(ConfigError, match=rf"decision\.calibration = .*ours\.json.*{message}"):
        decision_limits(config, checkpoint())


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"centre = 1"])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ours.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not what `vfd-monitor calibrate` writes"):
        read_override(path, SHA256)
