"""The command, as a user calls it, on a store that a monitor left."""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor import cli
from monitor.alerts import AlertKind
from monitor.episodes_http import since_unix_s
from monitor.store import Store
from tests.hooks import alert


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VFD_STORE_PATH", str(tmp_path / "alerts.db"))
    monkeypatch.setenv("COLUMNS", "140")
    return tmp_path / "alerts.db"


@pytest.fixture
def filled(path: Path) -> Path:
    store = Store(str(path), 8)
    store.add(1, alert(1, demo=True), ["a"])
    store.settle(1, "a", "delivered")
    store.add(2, alert(1, kind=AlertKind.CLOSED, demo=True, summary="no longer"), ["a"])
    store.add(3, alert(2, call="retro", participant="[red]bob[/red]", drill=True), [])
    store.close()
    return path


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        cli.main(["history", *arguments])
    assert isinstance(raised.value.code, int)
    return raised.value.code


def test_a_table_of_what_was(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code() == 0
    out = capsys.readouterr().out
    assert "2026-11-28 21:59:50" in out
    assert "[red]bob[/red]" in out
    assert "[drill]" in out
    assert "[demo] no longer" in out
    assert "1 delivered" in out
    assert "closed, 10 s" in out


def test_json_and_filters(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--json", "--call", "standup") == 0
    (episode,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (episode["id"], episode["state"]) == ("episode1", "closed")
    assert [a["kind"] for a in episode["alerts"]] == ["opened", "closed"]
    assert exit_code("--json", "--since", "2027-01-01") == 0
    assert capsys.readouterr().out == ""
    assert exit_code("--json", "--limit", "1") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_no_store_and_a_newer_one_are_said_in_a_line(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code() == 2
    assert capsys.readouterr().err == f"vfd-monitor: {path} (store.path): there is no store yet\n"
    path.write_bytes(b"nothing of the kind" * 300)
    assert exit_code() == 2
    assert "cannot be read" in capsys.readouterr().err
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    assert exit_code() == 2
    assert "newer version" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [("--since", "soon"), ("--limit", "0"), ("--limit", "many")])
def test_wrong_filters_are_named(
    path: Path, wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*wrong) == 2
    assert wrong[0] in capsys.readouterr().err


def test_times() -> None:
    now = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)
    for text, seconds in (("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800)):
        assert since_unix_s(text, now) == now.timestamp() - seconds
    assert since_unix_s("2026-11-28T22:00", now) == now.timestamp()
    assert since_unix_s("2026-11-28T23:00+01:00", now) == now.timestamp()
    for wrong in ("", "2", "h", "yesterday", "999999d"):
        with pytest.raises(ValueError, match="expected such as"):
            since_unix_s(wrong, now)
