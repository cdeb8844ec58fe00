"""Rules and configurations, checked by the programs that read them."""

import re
import subprocess
from pathlib import Path

import pytest

from monitor import cli, ops_files
from tests.programs import program


def promtool() -> str:
    return program("Prometheus", ("promtool",), "prometheus")


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        cli.main(["ops-files", *arguments])
    assert isinstance(raised.value.code, int)
    return raised.value.code


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ops_files.write(tmp_path / "ops")
    return tmp_path / "ops"


def test_the_command_writes_every_file_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a" / "b"
    assert exit_code(str(folder)) == 0
    printed = [Path(line).relative_to(folder) for line in capsys.readouterr().out.splitlines()]
    assert {str(path) for path in printed} >= {
        *("prometheus.yml", "alertmanager.yml", "vfd.rules.yml", "vfd.rules.test.yml"),
        *("METRICS.md", "grafana/vfd-overview.json"),
    }
    for path in printed:
        assert (folder / path).read_text() == ops_files.contents()[path]


def test_a_folder_that_holds_files_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "vfd.rules.yml"
    rules.write_text("mine")
    (tmp_path / "other.yml").write_text("mine too")
    assert exit_code(str(tmp_path)) == 2
    error = capsys.readouterr().err
    assert str(tmp_path) in error
    assert "--force" in error
    assert len(error.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.yml", "vfd.rules.yml"]
    assert rules.read_text() == "mine"
    assert exit_code(str(tmp_path), "--force") == 0
    assert rules.read_text() != "mine"
    assert (tmp_path / "other.yml").read_text() == "mine too"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert exit_code(str(tmp_path)) == 0


def test_what_is_no_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file"
    path.write_text("")
    for options in ((), ("--force",)):
        assert exit_code(str(path), *options) == 2
        assert f"ops-files: {path}" in capsys.readouterr().err
    assert path.read_text() == ""


def test_promtool_accepts_rules_and_configuration(folder: Path) -> None:
    assert "rules found" in run(folder, promtool(), "check", "rules", "vfd.rules.yml")
    run(folder, promtool(), "check", "config", "prometheus.yml")


def test_the_rules_pass_their_own_tests_and_every_alert_has_one(folder: Path) -> None:
    assert "SUCCESS" in run(folder, promtool(), "test", "rules", "vfd.rules.test.yml")
    alerts = set(re.findall(r"- alert: (\w+)", (folder / "vfd.rules.yml").read_text()))
    tests = (folder / "vfd.rules.test.yml").read_text()
    for alert in alerts:
        cases = re.findall(rf"alertname: {alert}\b(?!, exp_alerts: \[\])", tests)
        assert cases, f"no test in which {alert} fires"


def test_wrong_rules_fail_them(folder: Path) -> None:
    rules = folder / "vfd.rules.yml"
    text = rules.read_text()
    for was, becomes in (
        ('state="mismatch"} == 1', 'state="suspect"} == 1'),
        ("> 0.05", "> 0.5"),
        ("vfd_outbox_oldest_seconds > 60", "vfd_outbox_oldest_seconds > 600"),
    ):
        assert was in text
        text = text.replace(was, becomes)
    rules.write_text(text)
    command = (promtool(), "test", "rules", "vfd.rules.test.yml")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode != 0
    failed = set(re.findall(r"alertname: (\w+)", done.stdout + done.stderr))
    assert failed == {"IdentityMismatchSuspected", "VfdWindowsLost", "VfdOutboxOld"}


def test_amtool_accepts_the_example(folder: Path) -> None:
    amtool = program("Alertmanager", ("amtool",), "prometheus-alertmanager")
    run(folder, amtool, "check-config", "alertmanager.yml")
    for labels, receiver in (
        (("alertname=IdentityMismatchSuspected", "severity=critical"), "operators"),
        (("alertname=VfdOutboxOld",), "operators"),
        (("alertname=VfdWatchdog",), "dead-mans-switch"),
    ):
        command = ("config", "routes", "test", "--config.file=alertmanager.yml", *labels)
        assert run(folder, amtool, *command).split()[0] == receiver
