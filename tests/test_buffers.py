import time

import numpy as np
import pytest

from monitor.buffers import (
    MAX_FACES,
    MAX_MOUTHS,
    RING_SAMPLES,
    ParticipantBuffer,
    judge,
    rank_faces,
)
from monitor.config import ScoringConfig
from tests.fakes import ALICE, face, show, speak, voice
from vfd.types import SAMPLE_RATE_HZ, WINDOW_SAMPLES, Abstention, Audio, Reason, Window


@pytest.fixture
def buffer() -> ParticipantBuffer:
    return ParticipantBuffer(ALICE, ScoringConfig())


def ramp(start_s: float, duration_s: float) -> Audio:
    """Samples that tell their own place."""
    first = round(start_s * SAMPLE_RATE_HZ)
    return np.arange(first, first + round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32) + 1


def reason(buffer: ParticipantBuffer, end_s: float) -> Reason:
    outcome = judge(buffer.snapshot(end_s))
    assert isinstance(outcome, Abstention)
    assert (outcome.key, outcome.end_s) == (ALICE, end_s)
    return outcome.reason


def test_a_window_is_the_three_seconds_before_its_end(buffer: ParticipantBuffer) -> None:
    for n in range(500):  # twice around the ring
        buffer.write_audio(n * 0.02, ramp(n * 0.02, 0.02))
    snapshot = buffer.snapshot(9.5)
    assert snapshot.received.all()
    np.testing.assert_array_equal(snapshot.audio, ramp(6.5, 3.0))


def test_holes_are_zero_and_not_received(buffer: ParticipantBuffer) -> None:
    buffer.write_audio(0.0, ramp(0, 1.0))
    buffer.write_audio(1.5, ramp(1.5, 1.5))
    snapshot = buffer.snapshot(3.0)
    hole = slice(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 3 // 2)
    assert not snapshot.audio[hole].any()
    assert not snapshot.received[hole].any()
    assert np.count_nonzero(snapshot.received) == WINDOW_SAMPLES - SAMPLE_RATE_HZ // 2


def test_a_late_packet_fills_its_hole(buffer: ParticipantBuffer) -> None:
    buffer.write_audio(0.0, ramp(0, 1.0))
    buffer.write_audio(1.5, ramp(1.5, 1.5))
    buffer.write_audio(1.0, ramp(1.0, 0.5))
    np.testing.assert_array_equal(buffer.snapshot(3.0).audio, ramp(0, 3.0))


def test_what_is_older_than_the_ring_is_dropped(buffer: ParticipantBuffer) -> None:
    buffer.write_audio(10.0, ramp(10.0, 1.0))
    buffer.write_audio(2.0, ramp(2.0, 1.0))
    assert not buffer.snapshot(5.0).received.any()
    buffer.write_audio(5.5, ramp(5.5, 1.0))  # its first half is too old
    snapshot = buffer.snapshot(7.0)
    assert np.count_nonzero(snapshot.received) == SAMPLE_RATE_HZ // 2
    np.testing.assert_array_equal(snapshot.audio[snapshot.received], ramp(6.0, 0.5))


def test_a_jump_forward_leaves_nothing_of_before(buffer: ParticipantBuffer) -> None:
    buffer.write_audio(0.0, ramp(0, 5.0))
    buffer.write_audio(1000.0, ramp(0, 0.02))
    assert np.count_nonzero(buffer.snapshot(1000.02).received) == 320


def test_a_write_longer_than_the_ring_keeps_its_end(buffer: ParticipantBuffer) -> None:
    buffer.write_audio(0.0, ramp(0.0, 20.0))
    np.testing.assert_array_equal(buffer.snapshot(20.0).audio, ramp(17.0, 3.0))


def test_the_future_and_nothing_are_holes(buffer: ParticipantBuffer) -> None:
    assert not buffer.snapshot(3.0).received.any()
    buffer.write_audio(0.0, np.zeros(0, np.float32))
    buffer.write_audio(0.0, ramp(0, 3.0))
    assert np.count_nonzero(buffer.snapshot(4.0).received) == 2 * SAMPLE_RATE_HZ
    assert not buffer.snapshot(100.0).received.any()


def test_random_writes_agree_with_a_plain_tape(buffer: ParticipantBuffer) -> None:
    rng = np.random.default_rng(3)
    tape = np.zeros(30 * SAMPLE_RATE_HZ, np.float32)
    head = 0
    for _ in range(300):
        count = int(rng.integers(0, 4000))
        start = max(0, head + int(rng.integers(-30_000, 6_000)))
        if start + count > len(tape):
            break
        head = max(head, start + count)
        samples = rng.uniform(0.1, 1, count).astype(np.float32)
        buffer.write_audio(start / SAMPLE_RATE_HZ, samples)
        oldest = max(start, head - RING_SAMPLES)
        if oldest < start + count:
            tape[oldest : start + count] = samples[oldest - start :]
        stop = max(WINDOW_SAMPLES, head - int(rng.integers(0, 20_000)))
        snapshot = buffer.snapshot(stop / SAMPLE_RATE_HZ)
        np.testing.assert_array_equal(snapshot.audio, tape[stop - WINDOW_SAMPLES : stop])
        np.testing.assert_array_equal(snapshot.received, snapshot.audio > 0)


def test_suppressed_silence_counts_as_received(buffer: ParticipantBuffer) -> None:
    buffer.write_silence(0.0, 3.0)
    assert reason(buffer, 3.0) is Reason.NO_SPEECH
    assert judge(buffer.snapshot(3.0)).coverage == 1.0


def test_silence_overwrites_what_was_there(buffer: ParticipantBuffer) -> None:
    buffer.write_audio(0.0, ramp(0, 3.0))
    buffer.write_silence(1.0, 1.0)
    assert np.count_nonzero(buffer.snapshot(3.0).audio) == 2 * SAMPLE_RATE_HZ


def test_somebody_who_speaks_and_is_seen_gives_a_window(buffer: ParticipantBuffer) -> None:
    speak(buffer, 0.0, 3.0)
    show(buffer, 0.0, 3.0, 160)
    window = judge(buffer.snapshot(3.0))
    assert isinstance(window, Window)
    assert (window.start_s, window.end_s, window.coverage) == (0.0, 3.0, 1.0)
    assert window.speech > 0.8
    assert len(window.faces) == 6


def test_sound_is_judged_before_pictures(buffer: ParticipantBuffer) -> None:
    assert reason(buffer, 3.0) is Reason.NO_AUDIO
    speak(buffer, 0.0, 1.5)
    assert reason(buffer, 3.0) is Reason.AUDIO_GAP
    buffer.write_audio(1.5, np.zeros(24_000, np.float32))
    buffer.write_silence(0.3, 2.7)
    assert reason(buffer, 3.0) is Reason.NO_SPEECH


def test_an_abstention_carries_what_is_known(buffer: ParticipantBuffer) -> None:
    speak(buffer, 0.0, 3.0)
    outcome = judge(buffer.snapshot(3.0))
    assert isinstance(outcome, Abstention)
    assert outcome.reason is Reason.NO_VIDEO
    assert outcome.speech > 0.8
    assert outcome.coverage == 1.0


def test_a_voice_that_several_share_is_not_scored_where_it_is_withheld(
    buffer: ParticipantBuffer,
) -> None:
    asked: list[tuple[int, float]] = []

    def withheld(audio: Audio, start_s: float) -> Reason | None:
        asked.append((len(audio), start_s))
        return answers.pop()

    buffer.withheld = withheld
    answers: list[Reason | None] = [Reason.SEVERAL_FACES, Reason.NO_SPEECH, None]
    assert reason(buffer, 3.0) is Reason.NO_AUDIO
    buffer.write_audio(0.0, np.zeros(WINDOW_SAMPLES, np.float32))
    assert reason(buffer, 3.0) is Reason.NO_SPEECH
    assert asked == []
    speak(buffer, 3.0, 8.0)
    show(buffer, 3.0, 8.0, 160)
    assert isinstance(judge(buffer.snapshot(8.0)), Window)
    assert asked == [(WINDOW_SAMPLES, 5.0)]
    listens = judge(buffer.snapshot(8.0))
    assert isinstance(listens, Abstention)
    assert (listens.reason, listens.speech) == (Reason.NO_SPEECH, 0.0)  # none of it is theirs
    assert reason(buffer, 8.0) is Reason.SEVERAL_FACES
    speak(buffer, 8.0, 11.0)
    assert reason(buffer, 11.0) is Reason.VIDEO_PAUSED
    assert len(asked) == 3


def test_what_was_looked_at_is_remembered(buffer: ParticipantBuffer) -> None:
    assert buffer.share_with_face(0.0) == 0.0
    buffer.note_look(1.0, face(1.0))
    buffer.note_look(1.5, Reason.SEVERAL_FACES)
    assert buffer.rejected == (1.5, Reason.SEVERAL_FACES)
    buffer.note_look(2.0, face(2.0))
    assert buffer.share_with_face(0.0) == pytest.approx(2 / 3)
    assert buffer.share_with_face(1.2) == 0.5
    assert [f.time_s for f in buffer.snapshot(3.0).faces] == [1.0, 2.0]


def test_why_there_is_no_face(buffer: ParticipantBuffer) -> None:
    speak(buffer, 0.0, 3.0)
    buffer.note_video(2.5)
    assert reason(buffer, 3.0) is Reason.NO_FACE
    buffer.note_rejected(2.6, Reason.FACE_DARK)
    assert reason(buffer, 3.0) is Reason.FACE_DARK
    buffer.note_rejected(2.8, Reason.SEVERAL_FACES)
    buffer.note_rejected(2.7, Reason.FACE_BLURRED)  # came late
    assert reason(buffer, 3.0) is Reason.SEVERAL_FACES
    buffer.note_rejected(2.85, Reason.FACE_TURNED)
    buffer.write_face(face(2.9))
    assert isinstance(judge(buffer.snapshot(3.0)), Window)


def test_a_young_face_outlives_refused_pictures_and_then_they_are_named(
    buffer: ParticipantBuffer,
) -> None:
    buffer.write_face(face(4.0))
    buffer.note_rejected(9.8, Reason.FACE_TURNED)
    speak(buffer, 6.0, 11.0)
    assert isinstance(judge(buffer.snapshot(10.0)), Window)
    assert reason(buffer, 10.1) is Reason.FACE_TURNED


def test_video_that_stopped_is_paused_and_a_face_nobody_renewed_is_stale(
    buffer: ParticipantBuffer,
) -> None:
    buffer.write_face(face(1.0))
    buffer.note_rejected(0.5, Reason.NO_FACE)
    speak(buffer, 6.0, 9.0)
    assert reason(buffer, 9.0) is Reason.VIDEO_PAUSED
    buffer.note_video(8.5)
    assert reason(buffer, 9.0) is Reason.FACE_STALE


@pytest.mark.parametrize("skew_s", [1.1, -1.1])
def test_sound_and_pictures_too_far_apart_are_not_compared(
    buffer: ParticipantBuffer, skew_s: float
) -> None:
    speak(buffer, 0.0, 3.0)
    show(buffer, 0.0, 3.0, 160)
    buffer.note_skew(skew_s)
    assert reason(buffer, 3.0) is Reason.AV_SKEW
    buffer.note_skew(skew_s / 2)
    assert isinstance(judge(buffer.snapshot(3.0)), Window)
    buffer.note_skew(None)
    assert isinstance(judge(buffer.snapshot(3.0)), Window)


def test_a_camera_that_is_off_is_paused_whatever_the_skew_was(buffer: ParticipantBuffer) -> None:
    buffer.write_face(face(1.0))
    buffer.note_skew(2.0)
    speak(buffer, 2.0, 5.0)
    assert reason(buffer, 5.0) is Reason.AV_SKEW  # the face would still be compared
    speak(buffer, 5.0, 8.0)
    assert reason(buffer, 8.0) is Reason.VIDEO_PAUSED
    buffer.note_video(7.0)
    assert reason(buffer, 8.0) is Reason.AV_SKEW


def test_the_best_fresh_face_comes_first_then_the_newest(buffer: ParticipantBuffer) -> None:
    for time_s, quality in [(9.8, 0.4), (9.2, 0.9), (8.0, 1.0), (8.5, 0.1), (3.0, 1.0)]:
        buffer.write_face(face(time_s, quality=quality))
    assert [f.time_s for f in rank_faces(buffer.snapshot(10.0))] == [9.2, 9.8, 8.5, 8.0]


def test_a_face_of_the_future_is_not_in_the_window(buffer: ParticipantBuffer) -> None:
    buffer.write_face(face(3.1))
    assert buffer.snapshot(3.0).faces == ()


def test_faces_are_bounded(buffer: ParticipantBuffer) -> None:
    show(buffer, 0.0, 100.0, 160)
    kept = buffer.snapshot(100.0).faces
    assert len(kept) == MAX_FACES
    assert kept[-1].time_s == 99.5


def test_a_snapshot_is_a_copy(buffer: ParticipantBuffer) -> None:
    buffer.write_audio(0.0, ramp(0, 3.0))
    snapshot = buffer.snapshot(3.0)
    buffer.write_silence(0.0, 3.0)
    np.testing.assert_array_equal(snapshot.audio, ramp(0, 3.0))


def test_a_snapshot_is_cheap(buffer: ParticipantBuffer) -> None:
    buffer.write_audio(0.0, voice(5.0))
    show(buffer, 0.0, 5.0, 160)
    took = []
    for _ in range(50):
        begun = time.perf_counter()
        buffer.snapshot(4.9)
        took.append(time.perf_counter() - begun)
    print(f"snapshot: median {1000 * float(np.median(took)):.3f} ms")
    assert np.median(took) < 0.3e-3


def test_somebody_else_in_the_picture_may_be_who_speaks(buffer: ParticipantBuffer) -> None:
    """For as long as the window holds what was said beside them, and while they stay."""
    speak(buffer, 1.0, 5.7)
    buffer.write_face(face(2.0))
    buffer.note_rejected(2.5, Reason.SEVERAL_FACES)
    assert reason(buffer, 4.0) is Reason.SEVERAL_FACES  # though a face is young enough
    buffer.write_face(face(4.5))
    assert reason(buffer, 5.5) is Reason.SEVERAL_FACES
    assert isinstance(judge(buffer.snapshot(5.6)), Window)
    buffer.note_rejected(4.6, Reason.SEVERAL_FACES)
    assert reason(buffer, 5.7) is Reason.SEVERAL_FACES


def test_a_mouth_is_kept_for_its_window(buffer: ParticipantBuffer) -> None:
    for number in range(5 * MAX_MOUTHS):
        buffer.write_mouth(number / 20, float(number))
    seen = buffer.snapshot(24.0).mouth
    assert seen.shape == (60, 2)
    assert seen[0] == pytest.approx((21.0, 420.0))
    assert buffer.snapshot(10.0).mouth.shape == (0, 2)
