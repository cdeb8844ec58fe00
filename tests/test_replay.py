from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from monitor.alerts import AlertKind
from monitor.read_ahead import ReadAhead
from monitor.watch import watch
from tests.fakes import FakeEngine, engine_error, voice
from tests.media_files import AAC, TELEPHONE, SoundForm, encode, grey
from tests.recordings import OTHERS, OWN, GreyFinder, call, reasons, replay_of, watched
from vfd.decision import State
from vfd.types import FaceFrame, Reason, Rgb


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


def test_an_engine_that_fails_is_named_and_may_recover(tmp_path: Path) -> None:
    engine = FakeEngine()

    class Flaky(GreyFinder):
        def find(self, rgb: Rgb, time_s: float) -> FaceFrame | Reason:
            engine.error = engine_error() if 4.0 < time_s < 7.2 else None
            return super().find(rgb, time_s)

    path = call(tmp_path / "a.mkv", 10.0)
    replay = replay_of(engine, finder=Flaky())
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
