"""Packets in, feedback out, without network and encryption: both are played by a script."""

import struct
from itertools import chain

import numpy as np
import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.rtcp import SenderReport
from monitor.rtp_session import MAX_SOURCES, MAX_UNHEARD
from monitor.video_path import DECRYPT_EVERY
from tests.encoded import encoded, packets_of
from tests.scripted_peer import (
    AUDIO_SSRC,
    FORGED,
    H264,
    OPUS,
    RTX,
    RTX_SSRC,
    VIDEO_SSRC,
    VP8,
    Peer,
    rtp,
    video,
)


def test_sound_is_handed_on_and_pictures_become_keyframes() -> None:
    peer = Peer()
    peer.take(rtp(b"voice", 65_535, 960), rtp(b"more", 0, 1_920), *chain(*video()))
    assert peer.audio.packets == [(960, 65_535, OPUS, b"voice"), (1_920, 0, OPUS, b"more")]
    assert [k.data for k in peer.keyframes] == [encoded("VP8", 320, 240, 2)[0]]


def voices(first: int, count: int, ssrc: int = AUDIO_SSRC) -> list[bytes]:
    return [rtp(b"voice", n, 960 * n, ssrc=ssrc) for n in range(first, first + count)]


def test_sound_waits_to_be_listened_to_but_not_without_bound() -> None:
    peer = Peer()
    for number, packet in enumerate(voices(0, MAX_UNHEARD + 4)):
        peer.session.datagram(packet, number * 0.02)
        # The first proves that there is a source.
        assert len(peer.audio.packets) == (1 if number < MAX_UNHEARD else MAX_UNHEARD + 1)
    peer.session.listen()
    assert [sequence for _, sequence, _, _ in peer.audio.packets] == [*range(MAX_UNHEARD + 4)]


def test_a_report_counts_sound_that_nobody_listened_to_yet() -> None:
    peer = Peer()
    for packet in voices(0, 6):
        peer.session.datagram(packet, 0.0)
    peer.session.poll(10.0)
    (report,) = peer.sent(RtcpRrPacket)
    assert [block.highest_sequence for block in report.reports] == [5]  # type: ignore[union-attr]


def test_who_has_not_been_listened_to_yet_is_not_silent() -> None:
    peer = Peer()
    peer.take(*voices(0, 2), *voices(500, 2, ssrc=0x1A))
    assert peer.audio.resets == 1
    for number, packet in enumerate(voices(502, 30, ssrc=0x1A)):
        peer.session.datagram(packet, number * 0.02)
    peer.session.datagram(*voices(2, 1), 0.6)
    assert peer.audio.resets == 1
    assert len(peer.audio.packets) == 2 + 2 + 30


def test_unwanted_video_is_counted_but_not_decrypted() -> None:
    peer = Peer()
    first, *others = video(30)
    peer.take(*first)
    decrypted = peer.srtp.decrypted
    peer.take(*chain(*others))
    assert peer.srtp.decrypted == decrypted
    assert peer.session.packets == len(first) + sum(map(len, others))


def test_reports_count_what_was_dropped_on_purpose_as_received() -> None:
    peer = Peer()
    packets = list(chain(*video(30)))
    lost = packets[40:43]
    peer.take(*(p for p in packets if p not in lost), rtp(b"voice", 7))
    peer.wait(2.0)
    blocks = {b.ssrc: b for r in peer.sent(RtcpRrPacket) for b in r.reports}  # type: ignore[union-attr]
    assert blocks[VIDEO_SSRC].packets_lost == 3
    assert blocks[VIDEO_SSRC].highest_sequence == 65_500 + len(packets) - 1
    assert blocks[AUDIO_SSRC].packets_lost == 0


def test_the_sender_is_told_its_clock_and_its_limit() -> None:
    peer = Peer()
    peer.take(*video()[0], rtp(b"voice", 7))
    info = RtcpSenderInfo(
        ntp_timestamp=0x11223344_55667788, rtp_timestamp=9, packet_count=1, octet_count=1
    )
    peer.now_s = 1.0
    peer.take(bytes(RtcpSrPacket(ssrc=VIDEO_SSRC, sender_info=info)))
    assert peer.reports == [("video", SenderReport(VIDEO_SSRC, 0x11223344_55667788, 9))]
    peer.wait(2.0)
    report = peer.sent(RtcpRrPacket)[-1]
    assert isinstance(report, RtcpRrPacket)
    block = next(b for b in report.reports if b.ssrc == VIDEO_SSRC)
    assert block.lsr == 0x33445566
    assert 0 < block.dlsr <= 2 * 65_536
    limit = peer.sent(RtcpPsfbPacket, RTCP_PSFB_APP)[-1]
    assert isinstance(limit, RtcpPsfbPacket)
    bitrate, ssrcs = unpack_remb_fci(limit.fci)
    assert bitrate == pytest.approx(1_000_000, rel=0.001)
    assert ssrcs == [VIDEO_SSRC]


@pytest.mark.parametrize("fir", [False, True])
def test_a_keyframe_is_asked_for_in_the_way_that_was_negotiated(fir: bool) -> None:
    peer = Peer(fir)
    peer.take(*video()[1])
    peer.wait(0.1)
    (request,) = peer.sent(RtcpPsfbPacket, RTCP_PSFB_FIR if fir else RTCP_PSFB_PLI)
    assert isinstance(request, RtcpPsfbPacket)
    assert not peer.sent(RtcpPsfbPacket, RTCP_PSFB_PLI if fir else RTCP_PSFB_FIR)
    named = struct.unpack("!I", request.fci[:4])[0] if fir else request.media_ssrc
    assert named == VIDEO_SSRC


def test_holes_of_the_keyframe_are_asked_for_and_retransmissions_fill_them() -> None:
    peer = Peer()
    first, second = video()
    lost = first[3]
    peer.take(*(p for p in first if p != lost), *second)
    peer.wait(0.2)
    nacks = peer.sent(RtcpRtpfbPacket)
    assert nacks
    assert all(isinstance(n, RtcpRtpfbPacket) and n.media_ssrc == VIDEO_SSRC for n in nacks)
    assert {s for n in nacks if isinstance(n, RtcpRtpfbPacket) for s in n.lost} == {65_503}
    repaired = rtp(lost[2:4] + lost[12:], 1, 0, RTX, RTX_SSRC, marker=False)
    peer.take(repaired)
    assert len(peer.keyframes) == 1


def test_holes_of_delta_frames_are_nobodys_business() -> None:
    peer = Peer()
    first, *others = video(10)
    peer.take(*first)
    peer.wait(0.1)
    peer.take(*(frame[0] for frame in others))
    peer.wait(1.0)
    assert not peer.sent(RtcpRtpfbPacket)


def test_a_new_source_goes_on_in_the_old_ones_place() -> None:
    peer = Peer()
    peer.take(rtp(b"voice", 1), *video()[0])
    peer.wait(0.1)
    peer.take(rtp(b"new", 900, ssrc=0x1A), *chain(*video(ssrc=0x1B)))
    assert peer.audio.resets == 1
    assert peer.restarts == 1
    assert peer.audio.packets[-1][3] == b"new"


def test_a_source_whose_numbers_jump_down_is_followed() -> None:
    """The keyframe comes by itself, while only first packets are looked into."""
    peer = Peer()
    first = video(sequence=40_000)[0]
    peer.take(*first)
    peer.wait(1.9)
    peer.take(*video(sequence=40_000 + len(first))[1])
    *_, last = video(3, sequence=200, timestamp=800_000)
    peer.take(*last)
    start = 200 + sum(map(len, video(3)))
    peer.take(*video(sequence=start, timestamp=900_000)[0])
    assert [k.timestamp for k in peer.keyframes] == [0, 900_000]


def test_layers_of_simulcast_do_not_mix() -> None:
    """Two sources at a time: one is used, the other only counted."""
    peer = Peer()
    low, high = video(30, ssrc=0x1B), video(30, ssrc=0x2B, sequence=100, timestamp=77)
    for one, other in zip(low, high, strict=True):
        peer.take(*one, *other)
        peer.wait(1 / 30)
    assert peer.restarts == 1
    assert len(peer.keyframes) >= 1
    blocks = {b.ssrc for r in peer.sent(RtcpRrPacket) for b in r.reports}  # type: ignore[union-attr]
    assert blocks == {0x1B, 0x2B}


def test_a_layer_that_is_not_used_is_still_followed() -> None:
    """SRTP loses count of a source that it does not see for 32,768 packets."""
    peer = Peer()
    peer.take(rtp(b"low", 1, 0, VP8, 0x1B), rtp(b"high", 1, 0, VP8, 0x2B))
    decrypted = []
    for number in range(2, 40_000):
        before = peer.srtp.decrypted
        peer.take(rtp(b"low", number, number, VP8, 0x1B))
        if peer.srtp.decrypted > before:
            decrypted.append(number)
        if number % 500 == 0:
            peer.now_s += 0.1
            peer.take(rtp(b"high", 1 + number // 500, 0, VP8, 0x2B))
    assert np.diff(decrypted).max() <= DECRYPT_EVERY + 1
    assert len(decrypted) < 12


def test_a_layer_that_stops_is_replaced_by_one_that_goes_on() -> None:
    peer = Peer()
    peer.take(*video(ssrc=0x1B)[0], *video(ssrc=0x2B)[0])
    peer.keyframes.clear()
    peer.wait(3.0)
    peer.take(*video(ssrc=0x1B, sequence=900, timestamp=900_000)[1])
    peer.wait(0.1)
    assert peer.sent(RtcpPsfbPacket, RTCP_PSFB_PLI)
    peer.take(*chain(*video(ssrc=0x1B, sequence=1_200, timestamp=990_000)))
    assert peer.keyframes


def test_the_codec_may_change_in_the_middle() -> None:
    peer = Peer()
    peer.take(*video()[0])
    peer.wait(2.5)
    frame = packets_of("H264", encoded("H264", 320, 240, 2), 65_700, 900_000)
    for packets in frame:
        peer.take(
            *(rtp(p.payload, p.sequence, p.timestamp, H264, VIDEO_SSRC, p.marker) for p in packets)
        )
        peer.wait(0.1)
    assert [k.codec for k in peer.keyframes] == ["VP8", "H264"]


def test_strangers_make_no_source() -> None:
    peer = Peer()
    for ssrc in range(100):
        peer.take(rtp(FORGED, 1, ssrc=ssrc), rtp(b"", 1, payload_type=50, ssrc=ssrc))
    peer.wait(2.0)
    assert not peer.audio.packets
    assert not peer.srtp.sent
    assert not peer.session.first_datagram(rtp(FORGED, 1), 0.0)
    assert peer.session.first_datagram(rtp(b"voice", 1), 0.0)


def test_forged_sound_of_a_live_source_is_not_counted() -> None:
    peer = Peer()
    for number in range(20):
        peer.take(rtp(b"voice", number, 960 * number))
        peer.take(rtp(FORGED, number + 2_900 * (number + 1)))
        peer.wait(0.02)
    assert [number for _, number, _, _ in peer.audio.packets] == list(range(20))
    assert peer.session._sources[AUDIO_SSRC].reception.highest & 0xFFFF == 19


def test_sources_are_bounded() -> None:
    peer = Peer()
    for ssrc in range(100):
        peer.take(rtp(b"voice", 1, ssrc=ssrc))
        peer.wait(0.02)
    peer.srtp.sent.clear()
    peer.wait(2.0)
    report = peer.sent(RtcpRrPacket)[-1]
    assert isinstance(report, RtcpRrPacket)
    assert len(report.reports) == MAX_SOURCES
    assert peer.audio.packets[-1][3] == b"voice"


def test_a_pause_asks_nobody_and_the_return_asks_at_once() -> None:
    peer = Peer()
    peer.take(*video()[0])
    peer.wait(30.0)
    peer.srtp.sent.clear()
    peer.take(*video(sequence=900, timestamp=2_700_000)[1])
    peer.wait(0.3)
    assert len(peer.sent(RtcpPsfbPacket, RTCP_PSFB_PLI)) == 1


def test_padding_that_keeps_the_connection_warm_is_no_picture() -> None:
    """As libwebrtc sends it: with the last picture's time and no marker."""
    peer = Peer()
    first = video()[0]
    peer.take(*first)
    start = 65_500 + len(first)
    peer.srtp.sent.clear()
    for number in range(200):
        packet = bytearray(rtp(bytes(254) + b"\xff", start + number, 0, VP8, VIDEO_SSRC))
        packet[0] |= 0x20
        peer.take(bytes(packet))
        peer.wait(0.02)
    assert peer.video.last_packet_s == 0.0
    assert not peer.sent(RtcpPsfbPacket, RTCP_PSFB_PLI)


def test_a_source_that_takes_over_is_asked_at_once() -> None:
    peer = Peer()
    peer.take(*video()[0])
    peer.wait(0.6)
    peer.srtp.sent.clear()
    peer.take(*video(ssrc=0x1B)[1])
    peer.wait(0.04)
    assert peer.sent(RtcpPsfbPacket, RTCP_PSFB_PLI)


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.binary(min_size=12, max_size=40).map(
                lambda tail: rtp(tail[4:], tail[0] << 8 | tail[1], tail[2], 96 + tail[3] % 4, 0xA)
            ),
        ),
        max_size=60,
    )
)
def test_any_bytes_are_taken_without_an_error(datagrams: list[bytes]) -> None:
    peer = Peer()
    for datagram in datagrams:
        peer.take(datagram)
        peer.wait(0.02)
    peer.wait(2.0)


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.floats(0.0, 0.3))
def test_a_lossy_reordered_stream_gives_whole_keyframes_alone(
    random: "object", share: float
) -> None:
    peer = Peer()
    whole = encoded("VP8", 320, 240, 4)[0]
    for number in range(4):
        frames = video(4, sequence=60_000 + 400 * number, timestamp=270_000 * number)
        packets = [p for p in chain(*frames) if random.random() >= share]  # type: ignore[attr-defined]
        for at in range(len(packets) - 1):
            if random.random() < share:  # type: ignore[attr-defined]
                packets[at], packets[at + 1] = packets[at + 1], packets[at]
        peer.take(*packets)
        peer.wait(3.0)
    assert all(keyframe.data == whole for keyframe in peer.keyframes)
