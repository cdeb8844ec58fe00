"""The command as a person types it, with a real engine on random weights."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import pytest

from engines.engine import EngineError
from monitor.plot import plot_timeline
from monitor.read_ahead import ReadAhead
from monitor.timeline import Hop
from monitor.watch import add_arguments, participant_name, run, watch
from tests.checkpoints import write_checkpoint
from tests.fakes import FakeEngine
from tests.recordings import call, replay_of


def test_ctrl_c_ends_the_run_and_keeps_what_was_seen(tmp_path: Path) -> None:
    path = call(tmp_path / "a.mkv", 8.0)

    def interrupt(hop: Hop, _: float) -> None:
        if hop.end_s == 5.0:
            raise KeyboardInterrupt

    with closing(ReadAhead(str(path), 0.5)) as media:
        media.open()
        outcome = watch(media, replay_of(FakeEngine()), interrupt)
    assert outcome.interrupted
    assert len(outcome.hops) == 5


def arguments(*words: str | Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_checkpoint(tmp_path / "tiny.safetensors")
    monkeypatch.setenv("VFD_MODEL_CHECKPOINT", str(path))
    return path


@pytest.fixture(scope="module", autouse=True)
def fonts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """matplotlib keeps the font files open for good: let it open them before anybody counts."""
    path = tmp_path_factory.mktemp("fonts") / "t.png"
    limits = {"hop_s": 1.0, "suspect_below": 0.0, "match_above": 0.0, "min_speech": 0.0}
    plot_timeline(path, [], title="-", note="-", **limits)


@pytest.mark.usefixtures("weights")
def test_the_command_tells_json_plot_and_summary(
    tmp_path: Path, media: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lines, picture, why = (tmp_path / name for name in ("hops.jsonl", "timeline.png", "why.png"))
    drawn = ("--plot", picture, "--explain", why)
    assert run(arguments(media[0], "--json", lines, *drawn, "--loop-s", "8")) == 0
    hops = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [hop["end_s"] for hop in hops] == list(range(1, 9))
    assert [hop["type"] for hop in hops[2:]] == ["score"] * 6
    assert all(-1 <= hop["similarity"] <= 1 for hop in hops[2:])
    assert all(hop["speech"] > 0.3 and hop["faces"] == 1.0 for hop in hops[2:])
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.shape == (600, 1200, 3)
    explanation = cv2.imread(str(why))
    assert explanation is not None
    assert explanation.shape[0] > 900  # three windows
    told = capsys.readouterr().out
    for part in (media[0].name, "scored", "75%", "audio_gap", "mean similarity", "times real time"):
        assert part in told
    assert "scores say nothing about real people" in told


@pytest.mark.usefixtures("weights")
def test_json_on_stdout_is_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(call(tmp_path / "a.mkv", 3.0), "--json", "-")) == 0
    told = capsys.readouterr()
    hops = [json.loads(line) for line in told.out.splitlines()]
    assert [hop["reason"] for hop in hops] == ["audio_gap", "audio_gap", "no_face"]
    assert "mean similarity" in told.err


@pytest.mark.usefixtures("weights")
def test_without_a_score_there_is_nothing_to_explain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments(call(tmp_path / "a.mkv", 3.0), "--explain", tmp_path / "why.png")) == 0
    assert "nothing to explain" in capsys.readouterr().out
    assert not (tmp_path / "why.png").exists()


@pytest.mark.usefixtures("weights")
def test_an_engine_that_fails_while_explaining_spoils_no_report(
    tmp_path: Path,
    media: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise EngineError("out of memory")

    monkeypatch.setattr("monitor.explain_plot.explain", fail)
    words = (media[0], "--explain", tmp_path / "why.png", "--loop-s", "4")
    assert run(arguments(*words)) == 0
    told = capsys.readouterr().out
    assert "could not be explained: out of memory" in told
    assert "mean similarity" in told


@pytest.mark.usefixtures("weights")
def test_what_cannot_be_watched_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = call(tmp_path / "a.mkv", 1.0)
    text = tmp_path / "notes.txt"
    text.write_text("nothing to see " * 100)
    cases = [
        ((tmp_path / "missing.mp4",), "missing.mp4: cannot be opened: No such file"),
        ((tmp_path,), "Is a directory"),
        ((text,), "notes.txt: is a text file"),
        ((good, "--json", tmp_path / "no" / "x.jsonl"), "x.jsonl: there is no folder"),
        ((good, "--plot", tmp_path / "no" / "x.png"), "x.png: there is no folder"),
        ((good, "--explain", tmp_path / "no" / "x.png"), "x.png: there is no folder"),
        ((good, "--json", tmp_path), "cannot be written: Is a directory"),
        ((good, "--config", tmp_path / "no.toml"), "no.toml: cannot be read"),
    ]
    for words, message in cases:
        assert run(arguments(*words)) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1


def test_weights_that_cannot_be_read_are_exit_code_2(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights.write_bytes(weights.read_bytes()[:5000])
    assert run(arguments(call(tmp_path / "a.mkv", 1.0))) == 2
    assert str(weights) in capsys.readouterr().err


def test_an_engine_that_does_not_load_is_exit_code_2(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise EngineError("no such processor")

    monkeypatch.setattr("monitor.watch.configured_engine", refuse)
    assert run(arguments(call(tmp_path / "a.mkv", 1.0))) == 2


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon"])
def test_a_loop_needs_a_length(value: str) -> None:
    with pytest.raises(SystemExit):
        arguments("a.mkv", "--loop-s", value)


def test_a_url_is_named_without_its_secrets() -> None:
    url = "rtmp://anna:pa55@host:1935/live/room?key=s3cret"
    assert participant_name(url) == "rtmp://host/live/room"
    assert participant_name("/videos/call.mp4") == "call.mp4"


@pytest.fixture
def stalling_server(tmp_path: Path) -> Iterator[str]:
    """Sends six seconds of a stream, and then nothing more."""
    body = call(tmp_path / "live.mkv", 6.0).read_bytes()
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/x-matroska\r\n\r\n" + body)
            done.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/live.mkv"
        done.set()
        thread.join()


@pytest.mark.usefixtures("weights")
def test_ctrl_c_on_a_live_stream_prints_the_summary(stalling_server: str) -> None:
    command = (
        "import sys; from monitor.watch import *; p = argparse.ArgumentParser();"
        "add_arguments(p); sys.exit(run(p.parse_args()))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command, stalling_server, "--json", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert [hop["end_s"] for hop in seen] == [1.0, 2.0]
    assert "mean similarity" in told
    assert "Traceback" not in told
