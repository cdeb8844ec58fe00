import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from monitor.genuine_calls import CallsError, read_calls


def event(kind: str = "score", **fields: float | str | None) -> dict[str, Any]:
    who = {"call": "standup", "participant": "alice", "end_s": 3.0}
    return {"type": kind, **who, "similarity": 0.7, "jump": 0.02, **fields}


def written(path: Path, *events: object) -> str:
    path.write_text("".join(json.dumps(e) + "\n" for e in events))
    return str(path)


def test_scores_and_abstentions_are_read_and_one_name_is_one_person(tmp_path: Path) -> None:
    source = written(
        tmp_path / "events.jsonl",
        {"type": "joined", "call": "standup", "participant": "alice"},
        event(),
        event("abstention", end_s=4.0, reason="no_speech"),
        event(call="retro", end_s=9.0, jump=None),
        event(participant="bob"),
    )
    calls = read_calls(source, "", 1.0)
    assert (calls.people, calls.outcomes, calls.hours(900.0)) == (2, 4, 1.0)
    windows = calls.windows()
    assert windows.score.tolist() == [0.7] * 3
    assert windows.jump.tolist() == [0.02, 0.0, 0.02]
    assert len(set(windows.stream.tolist())) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"type": "score"', r":1: is no JSON"),
        (json.dumps(event()) + "\n" + json.dumps(event(similarity=1.5)), r":2: similarity is 1\.5"),
        (json.dumps(event(similarity=None)), "similarity is None"),
        (json.dumps(event(end_s=True)), "end_s is True"),
        (json.dumps(event(jump=float("nan"))), "jump is nan"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_field(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(content)
    with pytest.raises(CallsError, match=message):
        read_calls(str(path), "", 1.0)


def test_files_without_a_score_and_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    empty = read_calls(written(tmp_path / "empty.jsonl"), "", 1.0)
    with pytest.raises(CallsError, match="no score"):
        empty.windows()
    with pytest.raises(CallsError, match="cannot be read"):
        read_calls(str(tmp_path / "missing.jsonl"), "", 1.0)


class Events(BaseHTTPRequestHandler):
    """Server-sent events, then the end; 401 without the token."""

    def do_GET(self) -> None:
        if self.headers["Authorization"] != "Bearer secret":
            self.send_error(401)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'event: snapshot\ndata: {"type": "snapshot"}\n\n: heartbeat\n\n')
        self.wfile.write(f"event: score\ndata: {json.dumps(event())}\n\n".encode())

    def log_request(self, *_: object) -> None:
        pass

    def log_error(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Events) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/events"
        server.shutdown()
        thread.join()


def test_a_running_monitor_is_listened_to(url: str) -> None:
    assert read_calls(url, "secret", 5.0).outcomes == 1
    assert read_calls(url, "secret", 0.0).outcomes == 0
    with pytest.raises(CallsError, match="answered 401"):
        read_calls(url, "", 5.0)


def test_an_address_that_nobody_answers_is_named() -> None:
    with pytest.raises(CallsError, match=r"http://127\.0\.0\.1:9"):
        read_calls("http://127.0.0.1:9/v1/events", "", 5.0)
