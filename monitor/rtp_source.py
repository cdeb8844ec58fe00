"""One RTP source (SSRC) of a peer, and what its sender is told about it."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from aiortc.rtp import RtcpReceiverInfo

from monitor.rtcp import SenderReport
from monitor.rtp import Reception

Kind = Literal["audio", "video", "rtx"]

DELAY_UNITS: Final = 65_536  # in a second
MAX_DELAY: Final = 0xFFFFFFFF


class PayloadFormat(NamedTuple):
    """What a payload type was negotiated to mean; `name` as in SDP."""

    payload_type: int
    kind: Kind
    name: str
    clock_rate_hz: int
    channels: int


COMFORT_NOISE: Final = PayloadFormat(13, "audio", "CN", 8_000, 1)  # RFC 3551 table 4


def with_comfort_noise(formats: list[PayloadFormat]) -> list[PayloadFormat]:
    """`formats` and what senders of telephone codecs put in the place of silence, which the stack
    leaves out; its type is a static one. Taken without being offered, too."""
    types = {form.payload_type for form in formats}
    narrow = any(form.clock_rate_hz == COMFORT_NOISE.clock_rate_hz for form in formats)
    return [*formats, COMFORT_NOISE] if narrow and COMFORT_NOISE[0] not in types else formats


@dataclass(slots=True)
class Source:
    """`heard_s`: when its last packet came. `first`: its first packet, which was decrypted to
    prove it, until it is delivered. `followed`: the extended number that was decrypted last while
    the source was not in use. `report`: the last of its sender, which came at `report_s`."""

    kind: Kind
    reception: Reception
    heard_s: float
    first: bytes | None
    followed: int = 0
    report: SenderReport | None = None
    report_s: float = 0.0

    def block(self, ssrc: int, now_s: float) -> RtcpReceiverInfo:
        """Its part of a receiver report (RFC 3550 section 6.4.1); the next one will count from
        here."""
        report = self.report
        delay = int((now_s - self.report_s) * DELAY_UNITS)
        return RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=self.reception.fraction_lost(),
            packets_lost=self.reception.lost,
            highest_sequence=self.reception.reported_highest,
            jitter=self.reception.jitter,
            lsr=report.middle if report else 0,
            dlsr=max(0, min(MAX_DELAY, delay)) if report else 0,
        )
