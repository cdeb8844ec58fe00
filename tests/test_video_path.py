from itertools import chain

import pytest

from monitor.frame_sequence import Frame
from monitor.keyframe_assembly import Keyframe
from monitor.keyframe_requests import Gate, KeyframeRequests, KeyframeTally
from monitor.rtp import RtpPacket
from monitor.video_path import DECRYPT_EVERY, VideoPath
from tests.encoded import encoded, packets_of

COUNT = 8


class Stream:
    """A video path, its clock, and a sender of one keyframe and delta frames."""

    def __init__(self) -> None:
        self.keyframes: list[Keyframe] = []
        self.frames: list[Frame] = []
        self.path = VideoPath(
            KeyframeRequests(2.0, 0.0),
            lambda k, _: self.keyframes.append(k),
            lambda: None,
            KeyframeTally(),
        )
        self.now_s = 0.0
        self.cut = packets_of("VP8", encoded("VP8", 320, 240, COUNT))

    def take(self, packets: list[RtpPacket]) -> int:
        """Hands over what is wanted; returns how many were."""
        wanted = [p for p in packets if self.path.wants(p.sequence, p.timestamp, self.now_s)]
        for packet in wanted:
            self.path.packet("VP8", packet, self.now_s)
        return len(wanted)

    def on_frame(self, frame: Frame, arrival_s: float) -> bool:
        self.frames.append(frame)
        return True


@pytest.fixture
def stream() -> Stream:
    return Stream()


def moved(packets: list[RtpPacket], by: int, ticks: int) -> list[RtpPacket]:
    return [p._replace(sequence=p.sequence + by, timestamp=p.timestamp + ticks) for p in packets]


def test_between_keyframes_nothing_is_wanted(stream: Stream) -> None:
    first, *others = stream.cut
    assert stream.take(first) == len(first)
    assert len(stream.keyframes) == 1
    assert stream.take(list(chain(*others))) == 0


def test_near_the_end_of_the_interval_first_packets_are_looked_into(stream: Stream) -> None:
    first, *others = stream.cut
    stream.take(first)
    stream.now_s = 1.79
    stream.path.poll(1.79)
    assert stream.path.requests.gate is Gate.PEEK
    assert stream.take(list(chain(*others))) == len(others)
    natural = moved(first, 5_000, 900_000)
    assert stream.take(natural) == len(natural)
    assert len(stream.keyframes) == 2


def test_one_packet_in_some_thousand_is_decrypted_to_keep_count(stream: Stream) -> None:
    first, *_ = stream.cut
    stream.take(first)
    last = first[-1].sequence
    wanted = [n for n in range(1, 10_000) if stream.path.wants(last + n, n, 0.0)]
    assert wanted[0] == DECRYPT_EVERY + 1


def test_a_burst_has_every_frame_and_ends(stream: Stream) -> None:
    stream.take(stream.cut[0])
    stream.now_s = 0.9
    stream.path.burst(0.9, 4.0, stream.on_frame)
    assert stream.path.poll(0.9).keyframe
    again = [moved(frame, 5_000, 900_000) for frame in stream.cut]
    assert stream.take(list(chain(*again))) == sum(map(len, again))
    assert [frame.key for frame in stream.frames] == [True] + [False] * (COUNT - 1)
    stream.now_s = 4.0
    stream.path.poll(4.0)
    assert not stream.path.bursting
    assert stream.take(list(chain(*(moved(f, 7_000, 1_800_000) for f in stream.cut[1:])))) == 0


def test_a_burst_that_runs_asks_for_no_keyframe(stream: Stream) -> None:
    stream.path.burst(0.0, 10.0, stream.on_frame)
    stream.take(list(chain(*stream.cut)))
    for step in range(450):
        stream.path.wants(9_000 + step, step, step * 0.02)
        assert not stream.path.poll(step * 0.02).keyframe


def test_a_decoder_that_gives_up_gets_a_keyframe(stream: Stream) -> None:
    stream.path.burst(0.0, 10.0, lambda frame, at_s: frame.key)
    stream.take(list(chain(*stream.cut[:2])))
    stream.now_s = 0.6
    assert stream.path.poll(0.6).keyframe


def test_holes_of_a_burst_are_asked_for(stream: Stream) -> None:
    stream.path.burst(0.0, 10.0, stream.on_frame)
    packets = list(chain(*stream.cut))
    lost = stream.cut[2][0]
    stream.take([p for p in packets if p != lost])
    stream.path.poll(0.0)
    assert stream.path.poll(0.05).missing == (lost.sequence,)
    stream.take([lost])
    assert len(stream.frames) == COUNT


def slowly(stream: Stream, packets: list[RtpPacket], take_s: float) -> int:
    """How often somebody asks while `packets` come in over `take_s` seconds."""
    asked = 0
    for packet in packets:
        stream.take([packet])
        until_s = stream.now_s + take_s / len(packets)
        while stream.now_s < until_s:
            stream.now_s += 0.02
            asked += stream.path.poll(stream.now_s).keyframe
    return asked


@pytest.mark.parametrize("bursting", [False, True])
def test_a_keyframe_that_comes_slowly_is_waited_for(stream: Stream, bursting: bool) -> None:
    if bursting:
        stream.path.burst(0.0, 10.0, stream.on_frame)
    stream.path.wants(1, 0, 0.0)
    assert stream.path.poll(0.02).keyframe
    assert slowly(stream, stream.cut[0], 2.0) == 0
    assert len(stream.frames if bursting else stream.keyframes) == 1


def test_a_keyframe_without_an_end_is_not_waited_for_for_ever(stream: Stream) -> None:
    stream.path.wants(1, 0, 0.0)
    assert stream.path.poll(0.02).keyframe
    start, body, *_ = stream.cut[0]
    endless = [body._replace(sequence=start.sequence + n) for n in range(1, 300)]
    assert slowly(stream, [start, *endless], 6.0) > 0


def test_a_burst_that_nobody_answered_leaves_the_patience_as_it_was(stream: Stream) -> None:
    delta = stream.cut[1]
    for step in range(250):
        stream.now_s = step * 0.02
        stream.take(delta)
        stream.path.poll(stream.now_s)
    unanswered = stream.path.requests.unanswered
    stream.path.burst(5.0, 6.0, stream.on_frame)
    for step in range(250, 350):
        stream.now_s = step * 0.02
        stream.path.poll(stream.now_s)
    assert not stream.path.bursting
    assert stream.path.requests.unanswered >= unanswered > 1


def test_another_source_is_asked_at_once(stream: Stream) -> None:
    stream.take(stream.cut[0])
    stream.now_s = 0.6
    stream.path.wants(1, 0, 0.6)
    assert not stream.path.poll(0.6).keyframe
    stream.path.restart(0.6)
    assert stream.path.poll(0.6).keyframe
