import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.engine import EngineError
from monitor import read_ahead
from monitor.alerts import Alerter, AlertKind
from monitor.config import ScoringConfig
from monitor.file_source import MediaError
from monitor.plot import plot_timeline
from monitor.read_ahead import ReadAhead
from monitor.replay import Replay
from monitor.scoring import Scorer
from monitor.timeline import Hop, bands, summarize
from monitor.watch import Watched, add_arguments, participant_name, run, watch
from tests.checkpoints import write_checkpoint
from tests.fakes import LIMITS, FakeEngine, checkpoint, engine_error, face, voice
from tests.media_files import AAC, OPUS, TELEPHONE, SoundForm, encode, grey
from vfd.decision import State
from vfd.finder import FaceFinder
from vfd.types import Audio, FaceFrame, Reason, Rgb

OWN, OTHERS = 160, 60
"""Grey levels of a face: FakeEngine gives them similarities of +0.6 and -0.4."""


class GreyFinder(FaceFinder):
    """The whole picture is the face, of its own grey; a black picture shows nobody."""

    def __init__(self) -> None:
        """There is no detector."""

    def find(self, rgb: Rgb, time_s: float) -> FaceFrame | Reason:
        level = round(float(rgb.mean()))
        return face(time_s, level) if level > 30 else Reason.NO_FACE


def replay_of(engine: FakeEngine, scoring: ScoringConfig | None = None) -> Replay:
    return Replay(
        "call.mp4",
        GreyFinder(),
        Scorer(engine, 1),
        Alerter(checkpoint(), LIMITS, ()),
        LIMITS,
        scoring or ScoringConfig(),
    )


def watched(path: Path, engine: FakeEngine | None = None, loop_s: float | None = None) -> Watched:
    with closing(ReadAhead(str(path), 0.5, loop_s)) as media:
        media.open()
        return watch(media, replay_of(engine or FakeEngine()), lambda hop, media_s: None)


def reasons(hops: list[Hop]) -> list[str | None]:
    return [hop.as_json()["reason"] for hop in hops]  # type: ignore[misc]


def call(
    path: Path,
    duration_s: float,
    picture: Callable[[float], Rgb] | None = lambda _: grey(OWN),
    sound: Audio | None = None,
    form: SoundForm = OPUS,
) -> Path:
    said = voice(duration_s) if sound is None else sound
    return encode(path, picture=picture, picture_s=duration_s, sound=said, form=form)


def test_a_face_that_is_swapped_raises_one_alert(tmp_path: Path) -> None:
    path = call(tmp_path / "a.mkv", 24.0, lambda t: grey(OWN if t < 10 else OTHERS))
    outcome = watched(path)
    assert [hop.end_s for hop in outcome.hops] == list(range(1, 25))
    assert reasons(outcome.hops)[:2] == ["audio_gap"] * 2
    assert all(hop.similarity is not None for hop in outcome.hops[2:])
    before = [hop.similarity for hop in outcome.hops[2:10]]
    after = [hop.similarity for hop in outcome.hops[11:]]
    assert before == pytest.approx([0.6] * 8, abs=0.05)
    assert after == pytest.approx([-0.4] * 13, abs=0.05)
    raised = [hop for hop in outcome.hops if hop.alert]
    assert len(raised) == 1
    assert raised[0].alert is not None
    assert raised[0].alert.kind is AlertKind.OPENED
    assert raised[0].verdict.state is State.MISMATCH
    assert 11 <= raised[0].end_s <= 20
    assert outcome.media_s == pytest.approx(24.0, abs=0.1)
    assert outcome.speed > 1
    assert outcome.problems == []


def test_the_same_file_gives_the_same_scores(tmp_path: Path) -> None:
    path = call(tmp_path / "a.mkv", 6.0)
    first, second = watched(path), watched(path)
    assert [h.similarity for h in first.hops] == [h.similarity for h in second.hops]


def test_sound_without_video_is_named(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", sound=voice(5.0), form=AAC)
    assert set(reasons(watched(path).hops)[2:]) == {"no_video"}


def test_video_without_sound_is_named(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", picture=lambda _: grey(OWN), picture_s=5.0)
    outcome = watched(path)
    assert reasons(outcome.hops) == ["no_audio"] * 5
    assert all(hop.faces == 1.0 for hop in outcome.hops)


def test_nobody_in_the_picture_is_named(tmp_path: Path) -> None:
    outcome = watched(call(tmp_path / "a.mkv", 5.0, lambda _: grey(0)))
    assert set(reasons(outcome.hops)[2:]) == {"no_face"}
    assert all(hop.faces == 0.0 for hop in outcome.hops)


def test_silence_is_named(tmp_path: Path) -> None:
    outcome = watched(call(tmp_path / "a.mkv", 5.0, sound=np.zeros(80_000, np.float32)))
    assert set(reasons(outcome.hops)[2:]) == {"no_speech"}


def test_telephone_speech_is_scored(tmp_path: Path) -> None:
    form = SoundForm("pcm_s16le", TELEPHONE.rate, "mono")
    outcome = watched(call(tmp_path / "a.mkv", 6.0, form=form))
    assert reasons(outcome.hops)[2:] == [None] * 4


def test_looping_joins_the_rounds(tmp_path: Path) -> None:
    outcome = watched(call(tmp_path / "a.mkv", 3.0), loop_s=10.0)
    assert len(outcome.hops) == 10
    assert reasons(outcome.hops)[2:] == [None] * 8


def test_an_engine_that_fails_is_named_and_may_recover(tmp_path: Path) -> None:
    engine = FakeEngine()

    class Flaky(GreyFinder):
        def find(self, rgb: Rgb, time_s: float) -> FaceFrame | Reason:
            engine.error = engine_error() if 4.0 < time_s < 7.2 else None
            return super().find(rgb, time_s)

    path = call(tmp_path / "a.mkv", 10.0)
    replay = replay_of(engine)
    replay._finder = Flaky()
    with closing(ReadAhead(str(path), 0.5)) as media:
        media.open()
        outcome = watch(media, replay, lambda hop, media_s: None)
    assert [r for r in reasons(outcome.hops)[2:] if r] == ["engine_down"] * 3
    assert outcome.hops[-1].verdict.state is State.MATCH
    assert outcome.problems == ["the engine failed: the accelerator fell off the bus"]


def test_what_is_broken_is_reported(tmp_path: Path) -> None:
    path = call(tmp_path / "a.mp4", 6.0, form=AAC)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes(data)
    outcome = watched(path)
    assert len(outcome.hops) == 6
    assert len(outcome.problems) == 1
    assert "broken packets or frames were left out" in outcome.problems[0]


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


def test_a_reader_that_is_closed_early_ends_its_thread(tmp_path: Path) -> None:
    media = ReadAhead(str(call(tmp_path / "a.mkv", 30.0, None)), 0.5, loop_s=1e6)
    media.open()
    next(iter(media))
    media.close()
    assert not any(thread.name == "media reader" for thread in threading.enumerate())


def test_opening_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Hanging:
        def __init__(self, location: str, picture_interval_s: float) -> None:
            released.wait(10)
            raise MediaError(f"{location}: too late")

    monkeypatch.setattr(read_ahead, "FileSource", Hanging)
    monkeypatch.setattr(read_ahead, "OPEN_PATIENCE_S", 0.3)
    media = ReadAhead("rtmp://nowhere/live", 0.5)
    with pytest.raises(MediaError, match="rtmp://nowhere/live: no answer within"):
        media.open()
    released.set()
    media.close()


def test_sums_and_bands_agree(tmp_path: Path) -> None:
    path = call(tmp_path / "a.mkv", 20.0, lambda t: grey(OWN if t < 9 else OTHERS))
    hops = watched(path).hops
    summary = summarize(hops, 1.0)
    assert summary.scored + summary.abstained.total() == len(hops) == 20
    assert sum(summary.state_s.values()) == pytest.approx(20.0)
    assert summary.alerts == 1
    assert [band.state for band in bands(hops, 1.0)][:2] == [State.UNKNOWN, State.MATCH]
    assert summary.mean_similarity is not None
    assert -0.4 < summary.mean_similarity < 0.6


# From here on the command as a person types it, with a real engine on random weights.


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
    lines, picture = tmp_path / "hops.jsonl", tmp_path / "timeline.png"
    words = (media[0], "--json", lines, "--plot", picture, "--loop-s", "8")
    assert run(arguments(*words)) == 0
    hops = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [hop["end_s"] for hop in hops] == list(range(1, 9))
    assert [hop["type"] for hop in hops[2:]] == ["score"] * 6
    assert all(-1 <= hop["similarity"] <= 1 for hop in hops[2:])
    assert all(hop["speech"] > 0.3 and hop["faces"] == 1.0 for hop in hops[2:])
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.shape == (600, 1200, 3)
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

    monkeypatch.setattr("monitor.watch.load_engine", refuse)
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
