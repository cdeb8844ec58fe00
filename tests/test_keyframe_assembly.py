"""The one promise: what leaves the assembler is a whole keyframe, whatever is lost or reordered."""

import random
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.h264 import START_CODE, Nal
from monitor.keyframe_assembly import (
    MAX_BYTES,
    PACKET_BYTES,
    Keyframe,
    KeyframeAssembler,
    VideoCodec,
)
from monitor.rtp import RtpPacket
from tests.encoded import encoded, packets_of
from tests.test_h264 import aggregate, fragments

CODECS: list[VideoCodec] = ["VP8", "H264"]
both_codecs = pytest.mark.parametrize("codec", CODECS)


def stream(codec: VideoCodec) -> list[list[RtpPacket]]:
    return packets_of(codec, encoded(codec, 320, 240, 4), sequence=65_530)


def feed(assembler: KeyframeAssembler, packets: list[RtpPacket]) -> list[Keyframe]:
    return [k for p in packets if (k := assembler.add(p)) is not None]


def same_picture(codec: VideoCodec, data: bytes, whole: bytes) -> bool:
    """H.264 loses nothing but the length of its start codes on the way."""
    if codec == "VP8":
        return data == whole
    return units_of(data) == units_of(whole)


def units_of(data: bytes) -> list[bytes]:
    units = data.replace(START_CODE, START_CODE[1:]).split(START_CODE[1:])
    return [unit.rstrip(b"\0") for unit in units if unit]


@both_codecs
def test_a_keyframe_is_put_together(codec: VideoCodec) -> None:
    frames = stream(codec)
    assert len(frames[0]) > 10
    (keyframe,) = feed(KeyframeAssembler(codec), list(chain(*frames)))
    assert same_picture(codec, keyframe.data, encoded(codec, 320, 240, 4)[0])
    assert keyframe.timestamp == frames[0][0].timestamp


@both_codecs
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_loss_and_order_give_the_whole_or_nothing(codec: VideoCodec, data: st.DataObject) -> None:
    frames = stream(codec)
    packets = list(chain(*frames[:2]))
    lost = data.draw(st.sets(st.sampled_from(packets), max_size=3))
    kept = [p for p in packets if p not in lost]
    data.draw(st.randoms(use_true_random=False)).shuffle(kept)
    keyframes = feed(KeyframeAssembler(codec), kept)
    if lost & set(frames[0]):
        assert keyframes == []
    else:
        assert [same_picture(codec, k.data, encoded(codec, 320, 240, 4)[0]) for k in keyframes] == [
            True
        ]


@both_codecs
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_keyframe_cut_at_any_tenth_is_none(codec: VideoCodec, tenth: int) -> None:
    first, *others = stream(codec)
    cut = first[: max(1, len(first) * tenth // 10)]
    assert feed(KeyframeAssembler(codec), [*cut, *chain(*others)]) == []


@both_codecs
def test_the_end_of_a_delta_frame_does_not_end_a_keyframe(codec: VideoCodec) -> None:
    """The marker of the keyframe is lost, the next frame's is not."""
    first, second, *_ = stream(codec)
    assert feed(KeyframeAssembler(codec), [*first[:-1], *second]) == []


@both_codecs
def test_delta_frames_alone_are_nothing(codec: VideoCodec) -> None:
    assembler = KeyframeAssembler(codec)
    assert feed(assembler, list(chain(*stream(codec)[1:]))) == []
    assert assembler.missing() == []


@both_codecs
def test_holes_of_the_keyframe_are_asked_for_and_filled(codec: VideoCodec) -> None:
    first, second, *_ = stream(codec)
    lost = [first[3], first[5], first[-1]]
    assembler = KeyframeAssembler(codec)
    kept = [p for p in first if p not in lost]
    assert feed(assembler, [*kept, *second]) == []
    assert assembler.missing() == [p.sequence for p in lost]
    assert len(feed(assembler, lost)) == 1
    assert assembler.missing() == []


@both_codecs
def test_a_lost_first_packet_is_asked_for(codec: VideoCodec) -> None:
    """Nothing says that it is a keyframe but its size."""
    before, _, first = (
        packets_of(codec, encoded(codec, 320, 240, 4), s)[i]
        for s, i in ((900, 3), (900, 3), (2_000, 0))
    )
    shift = first[0].sequence - before[-1].sequence - 1
    before = [p._replace(sequence=p.sequence + shift, timestamp=1) for p in before]
    assembler = KeyframeAssembler(codec)
    assert feed(assembler, [*before, *first[1:]]) == []
    assert assembler.missing() == [first[0].sequence]
    assert len(feed(assembler, first[:1])) == 1


@both_codecs
def test_padding_inside_a_stream_is_no_hole(codec: VideoCodec) -> None:
    """Empty packets take numbers after a frame, with its timestamp (RFC 3550 section 5.1)."""
    first, second, *_ = stream(codec)
    padding = RtpPacket(first[-1].sequence + 1, first[0].timestamp, 97, False, b"")
    moved = [p._replace(sequence=p.sequence + 1) for p in second]
    assembler = KeyframeAssembler(codec)
    assert len(feed(assembler, [*first, padding, *moved])) == 1
    assert feed(assembler, [padding] * 3) == []


@both_codecs
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(70_000, 70_300), st.integers(0, 12), st.booleans(), st.binary(max_size=40)
        ),
        max_size=200,
    )
)
def test_random_packets_never_raise_anything_else_and_never_pile_up(
    codec: VideoCodec, packets: list[tuple[int, int, bool, bytes]]
) -> None:
    assembler = KeyframeAssembler(codec)
    for sequence, timestamp, marker, payload in packets:
        try:
            assembler.add(RtpPacket(sequence, timestamp, 97, marker, payload))
        except ValueError:
            continue
        assert len(assembler.missing()) <= 256
        assert len(assembler._frames) <= 8


@both_codecs
def test_a_keyframe_that_never_completes_is_let_go(codec: VideoCodec) -> None:
    first, *_ = stream(codec)
    assembler = KeyframeAssembler(codec)
    for number in range(200):
        at = number * 100
        packets = [p._replace(sequence=p.sequence + at, timestamp=at) for p in first[:-1]]
        assert feed(assembler, packets) == []
        assert sum(len(d) for f in assembler._frames.values() for d in f.packets.values()) < 2e6


@both_codecs
def test_empty_packets_of_one_time_do_not_pile_up(codec: VideoCodec) -> None:
    assembler = KeyframeAssembler(codec)
    for number in range(100_000):
        assembler.add(RtpPacket(number, 0, 97, False, b""))
    assert sum(len(f.packets) for f in assembler._frames.values()) <= MAX_BYTES / PACKET_BYTES


def h264_packets(payloads: list[bytes], timestamp: int = 9, sequence: int = 500) -> list[RtpPacket]:
    last = len(payloads) - 1
    return [
        RtpPacket(sequence + i, timestamp, 97, i == last, payload)
        for i, payload in enumerate(payloads)
    ]


def h264_units() -> tuple[bytes, bytes, bytes]:
    """(SPS, PPS, IDR slice) of a real keyframe."""
    units = {u[0] & 0x1F: u for u in units_of(encoded("H264", 320, 240, 4)[0])}
    return units[Nal.SPS], units[Nal.PPS], units[Nal.IDR]


@pytest.mark.parametrize("way", ["aggregated", "single", "delimited", "fragmented"])
def test_every_way_of_packing_h264_is_understood(way: str) -> None:
    """Chromium and Firefox aggregate parameter sets, GStreamer sends them one by one, some encoders
    put a delimiter in front."""
    sps, pps, idr = h264_units()
    slices = fragments(idr, 1_000)
    payloads = {
        "aggregated": [aggregate([sps, pps]), *slices],
        "single": [sps, pps, *slices],
        "delimited": [b"\x09\xf0", sps, pps, b"\x06\x05\x01\x00\x80", *slices],
        "fragmented": [*fragments(sps, 4), pps, *slices],
    }[way]
    (keyframe,) = feed(KeyframeAssembler("H264"), h264_packets(payloads))
    assert units_of(keyframe.data)[-3:][0] in (sps, pps, b"\x06\x05\x01\x00\x80")
    assert units_of(keyframe.data)[-1] == idr


def test_parameter_sets_that_are_not_repeated_are_remembered() -> None:
    sps, pps, idr = h264_units()
    assembler = KeyframeAssembler("H264")
    first = h264_packets([aggregate([sps, pps]), *fragments(idr, 1_000)])
    assert len(feed(assembler, first)) == 1
    end = first[-1].sequence
    delta = RtpPacket(end + 1, 10, 97, True, b"\x41\x9a\x00")
    again = h264_packets(fragments(idr, 1_000), 11, end + 2)
    (keyframe,) = feed(assembler, [delta, *again])
    assert units_of(keyframe.data) == [sps, pps, idr]


def test_a_slice_whose_parameter_sets_may_be_lost_is_not_trusted() -> None:
    """A change of resolution whose new parameter sets are lost would be decoded with the old."""
    sps, pps, idr = h264_units()
    assembler = KeyframeAssembler("H264")
    first = h264_packets([aggregate([sps, pps]), *fragments(idr, 1_000)])
    feed(assembler, first)
    end = first[-1].sequence
    assert feed(assembler, h264_packets(fragments(idr, 1_000), 11, end + 2)) == []
    assert feed(KeyframeAssembler("H264"), h264_packets(fragments(idr, 1_000))) == []


def test_a_missing_slice_at_the_top_is_noticed() -> None:
    sps, pps, idr = h264_units()
    second_slice = b"\x65\x40" + idr[2:]
    payloads = [aggregate([sps, pps]), *fragments(second_slice, 1_000)]
    assert feed(KeyframeAssembler("H264"), h264_packets(payloads)) == []


def test_streams_do_not_share() -> None:
    """Half of one stream and half of another make nothing."""
    rng = random.Random(3)
    ours, theirs = stream("VP8")[0], packets_of("VP8", encoded("VP8", 320, 240, 4, 7), 65_530)[0]
    size = min(len(ours), len(theirs))
    alice, bob = KeyframeAssembler("VP8"), KeyframeAssembler("VP8")
    for i in range(size - 1):
        pair = [(alice, ours[i]), (bob, theirs[i])]
        rng.shuffle(pair)
        assert all(a.add(p) is None for a, p in pair)
