"""The command's own errors; `test_drills.py` has it do its work."""

import json

import httpx
import pytest

from monitor import cli, drill
from monitor.config import Config, ServerConfig

ANSWERS = {
    "passed": [("swapped", True), ("detected", True)],
    "failed": [("swapped", True), ("detected", False)],
}


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        cli.main(["drill", "--call", "standup", "--participant", "alice", *arguments])
    assert isinstance(raised.value.code, int)
    return raised.value.code


@pytest.fixture
def monitor_says(monkeypatch: pytest.MonkeyPatch) -> dict[str, httpx.Response]:
    """A monitor's answers, by method; requests never reach a network."""
    answers: dict[str, httpx.Response] = {}
    transport = httpx.MockTransport(lambda request: answers[request.method])
    original = httpx.AsyncClient

    def client(**settings: object) -> httpx.AsyncClient:
        return original(transport=transport, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(httpx, "AsyncClient", client)
    monkeypatch.setattr(drill, "POLL_S", 0.0)
    return answers


def ended(state: str) -> dict[str, object]:
    steps = [{"step": step, "ok": ok, "what": "[b]so[/b]"} for step, ok in ANSWERS[state]]
    who = {"id": "1", "call": "standup", "participant": "alice"}
    return {**who, "state": state, "steps": steps, "alert": None, "event_id": None}


@pytest.mark.parametrize(("state", "code"), [("passed", 0), ("failed", 1)])
def test_every_step_is_printed_and_one_that_fails_is_exit_code_1(
    state: str,
    code: int,
    monitor_says: dict[str, httpx.Response],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monitor_says["POST"] = httpx.Response(202, json={**ended(state), "state": "running"})
    monitor_says["GET"] = httpx.Response(200, json=ended(state))
    assert exit_code() == code
    out = capsys.readouterr().out
    assert "ok   swapped: [b]so[/b]" in out
    assert ("FAIL detected" in out) is (state == "failed")
    assert "no webhook was told" in out
    assert exit_code("--json") == code
    assert json.loads(capsys.readouterr().out)["state"] == state


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(404, json={"detail": "there is no participant."}), "no participant."),
        (
            httpx.Response(200, text="<html>", request=httpx.Request("GET", "http://a")),
            "no monitor",
        ),
        (httpx.Response(500, json={}), "status 500"),
    ],
)
def test_what_keeps_a_drill_from_being_held_is_said(
    answer: httpx.Response,
    message: str,
    monitor_says: dict[str, httpx.Response],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monitor_says["POST"] = answer
    assert exit_code() == 2
    assert message in capsys.readouterr().err


def test_nobody_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--url", "http://127.0.0.1:9") == 2
    assert capsys.readouterr().err.startswith("vfd-monitor drill: ")


@pytest.mark.parametrize(
    ("server", "url"),
    [
        (ServerConfig(), "http://127.0.0.1:8787"),
        (ServerConfig(host="0.0.0.0", port=1), "http://127.0.0.1:1"),
        (ServerConfig(host="::", tls_certificate="c"), "https://[::1]:8787"),
    ],
)
def test_the_address_is_that_of_the_configuration(server: ServerConfig, url: str) -> None:
    assert drill._own_url(Config(server=server)) == url
