import struct

import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)
from hypothesis import given
from hypothesis import strategies as st

from monitor.rtcp import (
    MAX_REPORTS,
    full_intra_request,
    maximum_bitrate,
    negative_acknowledgement,
    picture_loss,
    receiver_report,
    sender_reports,
)

OURS, THEIRS = 0x11111111, 0x22222222


def sender_report(ntp: int = 0xE0000000_80000000) -> bytes:
    info = RtcpSenderInfo(ntp_timestamp=ntp, rtp_timestamp=90_000, packet_count=7, octet_count=9)
    return bytes(RtcpSrPacket(ssrc=THEIRS, sender_info=info))


def test_sender_reports_are_found_among_others() -> None:
    (report,) = sender_reports(bytes(RtcpByePacket(sources=[1])) + sender_report())
    assert report.ssrc == THEIRS
    assert report.ntp_s == 0xE0000000 + 0.5
    assert report.middle == 0x00008000
    assert report.rtp_timestamp == 90_000


@pytest.mark.parametrize("size", range(28))
def test_a_report_cut_short_is_none(size: int) -> None:
    assert sender_reports(sender_report()[:size]) == []


@given(st.binary(max_size=80))
def test_random_bytes_are_no_report_and_no_error(data: bytes) -> None:
    sender_reports(data)
    sender_reports(b"\x81\xc8" + data)
    sender_reports(sender_report() + data)


def test_requests_say_whose_picture_is_wanted() -> None:
    (pli,) = RtcpPacket.parse(picture_loss(OURS, THEIRS))
    assert isinstance(pli, RtcpPsfbPacket)
    assert (pli.fmt, pli.ssrc, pli.media_ssrc) == (RTCP_PSFB_PLI, OURS, THEIRS)
    (fir,) = RtcpPacket.parse(full_intra_request(OURS, THEIRS, 259))
    assert isinstance(fir, RtcpPsfbPacket)
    assert (fir.fmt, fir.ssrc, fir.media_ssrc) == (RTCP_PSFB_FIR, OURS, 0)
    assert struct.unpack("!IB3x", fir.fci) == (THEIRS, 3)


@given(st.sets(st.integers(0, 65_535), min_size=1, max_size=256))
def test_every_missing_number_is_named(missing: set[int]) -> None:
    (nack,) = RtcpPacket.parse(negative_acknowledgement(OURS, THEIRS, sorted(missing)))
    assert isinstance(nack, RtcpRtpfbPacket)
    assert set(nack.lost) == missing


@given(st.integers(100_000, 50_000_000))
def test_the_limit_is_kept_to_a_thousandth(bitrate_bps: int) -> None:
    (remb,) = RtcpPacket.parse(maximum_bitrate(OURS, [THEIRS], bitrate_bps))
    assert isinstance(remb, RtcpPsfbPacket)
    assert remb.fmt == RTCP_PSFB_APP
    stated, ssrcs = unpack_remb_fci(remb.fci)
    assert stated == pytest.approx(bitrate_bps, rel=1e-3)
    assert ssrcs == [THEIRS]


def test_a_report_holds_no_more_than_it_can_count() -> None:
    block = RtcpReceiverInfo(
        ssrc=THEIRS, fraction_lost=0, packets_lost=0, highest_sequence=1, jitter=0, lsr=0, dlsr=0
    )
    (report,) = RtcpPacket.parse(receiver_report(OURS, [block] * 40))
    assert isinstance(report, RtcpRrPacket)
    assert len(report.reports) == MAX_REPORTS
