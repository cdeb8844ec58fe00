"""The command as it is typed, on genuine calls that are made up."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import vfd.operating_fit
from monitor.assembly import decision_limits
from monitor.cli import main
from monitor.config import Config, DecisionConfig
from tests.checkpoints import TINY, info_of, random_tensors, write_checkpoint
from tests.fakes import DECISION
from vfd.checkpoint import load_checkpoint, save_checkpoint
from vfd.turns import made_turns


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vfd.operating_fit, "PEOPLE", 1_000)
    monkeypatch.setattr(vfd.operating_fit, "SCORED_SHARE", 75 / 3_600)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tiny.safetensors"
    info = dataclasses.replace(info_of(TINY), decision=DECISION)
    save_checkpoint(path, info, random_tensors(TINY))
    monkeypatch.setenv("VFD_MODEL_CHECKPOINT", str(path))
    return path


def recorded(path: Path, people: int, seconds: int, level: float = 0.8) -> Path:
    """Who speaks for five seconds in every ten."""
    rng, lines = np.random.default_rng(8), []
    for person in range(people):
        own = level + 0.1 * rng.standard_normal()
        for start in range(0, seconds, 10):
            turn = np.tanh(own + made_turns(0.1)[rng.integers(2_000)])
            for second in range(10):
                who = {"call": "c", "participant": f"p{person}", "end_s": start + second}
                said: dict[str, object] = {"type": "abstention", "reason": "no_speech"}
                if second < 5:
                    said = {"type": "score", "similarity": float(turn[second]), "jump": 0.0}
                lines.append(json.dumps({**who, **said}))
    path.write_text("\n".join(lines))
    return path


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", *map(str, words)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_genuine_calls_become_a_file_that_the_monitor_takes(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, out = recorded(tmp_path / "events.jsonl", 12, 600), tmp_path / "ours.json"
    before = weights.read_bytes()
    assert run("--from", events, "--out", out) == 0
    said = capsys.readouterr().out
    assert "12 people, 2.0 participant-hours; 0 alarms" in said
    assert "at most 1.5e+03 false alarms in 1,000 participant-hours" in said  # 3 / 2 hours
    assert "cannot claim the 1 that is configured: that takes 2,996 participant-hours" in said
    assert "at most 250 false alarms in 1,000 genuine people" in said  # 3 / 12 people
    assert weights.read_bytes() == before
    config = Config(decision=DecisionConfig(calibration=str(out)))
    limits = decision_limits(config, load_checkpoint(weights))
    assert limits.model is not None
    assert limits.model.people == 12
    assert limits.model.person_mean == pytest.approx(0.8, abs=0.1)
    assert limits.model.centre == DECISION.centre  # what evidence is stays the checkpoint's


@pytest.mark.usefixtures("weights")
def test_two_people_are_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events, out = recorded(tmp_path / "events.jsonl", 2, 60), tmp_path / "ours.json"
    assert run("--from", events, "--out", out) == 2
    assert "2 genuine people; at least 3 are needed" in capsys.readouterr().err
    assert not out.exists()


def test_weights_without_decisions_cannot_be_started_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VFD_MODEL_CHECKPOINT", str(write_checkpoint(tmp_path / "w.safetensors")))
    events = recorded(tmp_path / "events.jsonl", 4, 60)
    assert run("--from", events, "--out", tmp_path / "ours.json") == 2
    assert "hold no decision" in capsys.readouterr().err


@pytest.mark.usefixtures("weights")
def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = recorded(tmp_path / "events.jsonl", 4, 60)
    assert run("--from", events, "--out", tmp_path / "no" / "ours.json") == 2
    assert "no/ours.json: cannot be written" in capsys.readouterr().err
