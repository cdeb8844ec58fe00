from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.frame_sequence import MAX_WAITING, Frame, FrameSequence
from monitor.keyframe_assembly import VideoCodec
from monitor.rtp import RtpPacket
from tests.encoded import encoded, packets_of

both_codecs = pytest.mark.parametrize("codec", ["VP8", "H264"])
COUNT = 6


def stream(codec: VideoCodec, sequence: int = 65_500) -> list[list[RtpPacket]]:
    return packets_of(codec, encoded(codec, 320, 240, COUNT), sequence)


def feed(sequence: FrameSequence, packets: list[RtpPacket]) -> list[Frame]:
    return [frame for packet in packets for frame in sequence.add(packet)]


@both_codecs
@settings(max_examples=30)
@given(random=st.randoms(use_true_random=False))
def test_every_frame_comes_in_order(codec: VideoCodec, random: "object") -> None:
    packets = list(chain(*stream(codec)))
    for at in range(len(packets) - 1):
        if random.random() < 0.3:  # type: ignore[attr-defined]
            packets[at], packets[at + 1] = packets[at + 1], packets[at]
    frames = feed(FrameSequence(codec), packets)
    assert [frame.timestamp for frame in frames] == [3_000 * n for n in range(COUNT)]
    assert [frame.key for frame in frames] == [True] + [False] * (COUNT - 1)
    if codec == "VP8":
        assert [frame.data for frame in frames] == encoded(codec, 320, 240, COUNT)


@both_codecs
@settings(max_examples=40)
@given(data=st.data())
def test_nothing_comes_behind_a_hole_until_it_is_filled(
    codec: VideoCodec, data: st.DataObject
) -> None:
    cut = stream(codec)
    packets = list(chain(*cut))
    at = data.draw(st.integers(0, len(packets) - 1))
    number = next(n for n, frame in enumerate(cut) if packets[at] in frame)
    sequence = FrameSequence(codec)
    before = feed(sequence, packets[:at] + packets[at + 1 :])
    assert len(before) == (number if number > 0 else 0)
    if number > 0 and packets[at] != packets[-1]:
        assert sequence.missing() == [packets[at].sequence]
    after = sequence.add(packets[at])
    assert len(before) + len(after) == COUNT


@both_codecs
def test_nothing_comes_without_a_keyframe(codec: VideoCodec) -> None:
    sequence = FrameSequence(codec)
    assert feed(sequence, list(chain(*stream(codec)[1:]))) == []
    assert sequence.broken


@both_codecs
def test_a_hole_that_nobody_fills_ends_it_until_the_next_keyframe(codec: VideoCodec) -> None:
    first, second, third, *_ = stream(codec)
    sequence = FrameSequence(codec)
    assert len(feed(sequence, first)) == 1
    start = second[-1].sequence + 1
    for number in range(MAX_WAITING + 1):
        assert sequence.add(third[0]._replace(sequence=start + number)) == []
    assert sequence.broken
    again = packets_of(codec, encoded(codec, 320, 240, COUNT), start + 2_000, 900_000)
    assert len(feed(sequence, list(chain(*again)))) == COUNT
    assert not sequence.broken


@both_codecs
def test_a_jump_beyond_repair_is_not_asked_for(codec: VideoCodec) -> None:
    """A sender that starts anew counts from somewhere else: the numbers between never were."""
    sequence = FrameSequence(codec)
    first, second, *_ = stream(codec)
    feed(sequence, first)
    far = second[0]._replace(sequence=first[-1].sequence + MAX_WAITING + 2)
    assert sequence.add(far) == []
    assert sequence.missing() == []
    assert sequence.broken
    again = packets_of(codec, encoded(codec, 320, 240, COUNT), far.sequence + 1, 900_000)
    assert len(feed(sequence, list(chain(*again)))) == COUNT


@both_codecs
def test_padding_and_late_copies_change_nothing(codec: VideoCodec) -> None:
    first, second, *_ = stream(codec)
    padding = RtpPacket(first[-1].sequence + 1, first[0].timestamp, 97, False, b"")
    moved = [p._replace(sequence=p.sequence + 1) for p in second]
    assert len(feed(FrameSequence(codec), [*first, padding, *first, *moved, *moved])) == 2


@both_codecs
@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(70_000, 70_100), st.integers(0, 5), st.booleans(), st.binary()),
        max_size=100,
    )
)
def test_random_packets_are_bounded_and_make_no_frame(
    codec: VideoCodec, packets: list[tuple[int, int, bool, bytes]]
) -> None:
    sequence = FrameSequence(codec)
    feed(sequence, stream(codec, 69_900)[0])
    for number, timestamp, marker, payload in packets:
        try:
            sequence.add(RtpPacket(number, timestamp, 97, marker, payload))
        except ValueError:
            continue
        assert len(sequence._waiting) <= MAX_WAITING
        assert len(sequence.missing()) <= 64


@both_codecs
def test_a_malformed_payload_ends_it_until_the_next_keyframe(codec: VideoCodec) -> None:
    first, second, third, *others = stream(codec)
    sequence = FrameSequence(codec)
    assert len(feed(sequence, [*first, *second[1:]])) == 1
    bad = third[0]._replace(payload=b"\xff")
    with pytest.raises(ValueError, match=r"."):
        sequence.add(bad)
    assert feed(sequence, third[1:]) == []
    (frame,) = sequence.add(second[0])  # the one before is whole, and is not lost with it
    assert frame.timestamp == second[0].timestamp
    assert sequence.broken
    assert feed(sequence, list(chain(*others))) == []
    start = others[-1][-1].sequence + 1
    again = packets_of(codec, encoded(codec, 320, 240, COUNT), start, 900_000)
    assert len(feed(sequence, list(chain(*again)))) == COUNT
