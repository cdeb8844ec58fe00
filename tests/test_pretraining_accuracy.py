"""Table 4 by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.pretraining_accuracy import (
    PretrainingAccuracy,
    balanced,
    classified,
    forced_choice,
    identified,
    markdown,
    read_modulators,
)

EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


def vectors(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_people_are_found_by_their_first_clip() -> None:
    rows = vectors(EAST, NORTH, [2.0, 0.1], [0.9, 0.5], EAST)  # the fourth looks like the wrong one
    owner = np.array([0, 1, 0, 1, -1])  # the last is a fake
    assert identified(rows, owner, np.array([0, 1, 2, 3, 4])) == pytest.approx(0.5)
    assert identified(rows[:2], owner[:2], np.array([0, 1])) is None  # nobody to look up


def test_several_windows_of_the_first_clip_are_enrolled_together() -> None:
    rows = vectors(EAST, [0.6, 0.8], NORTH, [0.8, 0.4])
    owner, clip = np.array([0, 0, 1, 0]), np.array([0, 0, 1, 2])
    assert identified(rows, owner, clip) == 1


def test_modulators_name_the_identity() -> None:
    rows, owner = vectors(EAST, NORTH, EAST), np.array([0, 1, 1])
    assert classified(rows, owner, vectors(EAST, NORTH), 2) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="knows 2 people, this split has 3"):
        classified(rows, owner, vectors(EAST, NORTH), 3)


def test_choices_are_counted_for_each_voice() -> None:
    score = np.array([0.5, 0.4, 0.6, 0.5, 0.9, 0.9])
    real = np.array([True, False, False, False, True, False])
    voice = np.array([0, 0, 0, 0, 1, 1])
    # voice 0 wins one, loses one, ties one; voice 1 ties
    assert forced_choice(score, real, voice) == pytest.approx(0.5)
    assert balanced(score, real, 0.55) == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_modulators_are_read_and_others_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.heads.pt"
    torch.save({"face.modulator": torch.eye(2), "voice.modulator": torch.ones(2, 2)}, path)
    assert read_modulators(path)["face"].tolist() == [[1, 0], [0, 1]]
    torch.save({"weight": torch.eye(2)}, path)
    with pytest.raises(ValueError, match="no modulators"):
        read_modulators(path)


def test_the_table_says_what_was_not_measured() -> None:
    text = markdown(PretrainingAccuracy(120, 0.9, None, None, None, 0.85, 0.95), "nano")
    assert "| nano, 120 people by enrolment | 90.00 | - | 85.00 | 95.00 |" in text
    assert "modulators" not in text
