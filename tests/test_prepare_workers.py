"""Progress of many workers, as a person reads it."""

import pytest

from training.prepare_workers import Progress


def test_a_line_has_rate_and_remaining_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("training.prepare_workers.time.monotonic", lambda: now)
    progress = Progress(clips=8_000, done=1_000)
    now = 110.0
    progress.show(20)
    assert capsys.readouterr().err.strip() == "1020/8000 clips, 2.0/s, 0:58:10 to go"
    now = 111.0
    progress.show(22)
    assert not capsys.readouterr().err  # a file wants no line for every clip
    progress.show(7_000, last=True)
    assert "8000/8000 clips" in capsys.readouterr().err


def test_nothing_is_foretold_before_the_first_clip(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(clips=10, done=0).show(0)
    assert capsys.readouterr().err.strip() == "0/10 clips, 0.0/s, ..."
