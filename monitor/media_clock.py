"""From RTP timestamps to the monitor's clock, the sound and the pictures of a participant alike.

Without sender reports a stream is placed by its arrival. With reports of both streams (RFC 3550
section 6.4.1) a picture is placed where the sound of the same instant was placed.
"""

from typing import Final, Literal, NamedTuple

SLACK_S: Final = 0.04
"""Moves smaller than this would only tear small holes into running speech."""
SPAN_S: Final = 5.0
"""In which two clocks drift apart by less than 1 ms."""
JUMP_S: Final = 2.0
"""Later than networks hold packets back, and than any jitter buffer does (1.6 s when the sender
suppresses silence)."""
JUMP_AFTER_S: Final = 1.0
"""A stalled event loop catches up sooner."""
MAX_SKEW_S: Final = 10.0
"""No network or encoder holds one stream back so long: the sender's clock was set between the two
reports."""
AUDIO_RATE_HZ: Final = 48_000
VIDEO_RATE_HZ: Final = 90_000
_WRAP: Final = 1 << 32
_HALF: Final = 1 << 31


class ArrivalClock:
    """What to add to media time to get the monitor's time, by the packets that waited least."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._span_start_s = 0.0
        self._span_min_s = 0.0
        self._late_since_s: float | None = None

    def offset_s(self, media_end_s: float, arrival_s: float) -> float:
        """The offset, now that the frame that ends at `media_end_s` has come."""
        delay_s = arrival_s - media_end_s
        if self._offset_s is None or delay_s < self._offset_s - SLACK_S:
            return self._anchor(delay_s, arrival_s)
        if delay_s > self._offset_s + JUMP_S:
            if self._late_since_s is None:
                self._late_since_s = arrival_s
            if arrival_s - self._late_since_s >= JUMP_AFTER_S:
                return self._anchor(delay_s, arrival_s)
            return self._offset_s
        self._late_since_s = None
        return self._follow(delay_s, arrival_s)

    def _anchor(self, delay_s: float, arrival_s: float) -> float:
        self._offset_s = self._span_min_s = delay_s
        self._span_start_s = arrival_s
        self._late_since_s = None
        return delay_s

    def _follow(self, delay_s: float, arrival_s: float) -> float:
        assert self._offset_s is not None
        self._span_min_s = min(self._span_min_s, delay_s)
        if arrival_s - self._span_start_s >= SPAN_S:
            if abs(self._span_min_s - self._offset_s) > SLACK_S:
                self._offset_s = self._span_min_s
            self._span_min_s, self._span_start_s = delay_s, arrival_s
        return self._offset_s


class _Report(NamedTuple):
    """At `ntp_s` by the sender's own clock its sample `timestamp` was taken."""

    ntp_s: float
    timestamp: int


class StreamClock:
    """One RTP stream, until its timestamps jump. They are 32 bits wide and wrap; extended ones do
    not."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.jumped = False
        """The stream has gone on somewhere else: only a new clock can follow it."""
        self.offset_s: float | None = None
        """Media time + this = the monitor's time; None before the first packet."""
        self._arrivals = ArrivalClock()
        self._newest: int | None = None
        self._suspect_s: float | None = None
        self._report: _Report | None = None

    def arrived(self, timestamp: int, arrival_s: float, duration_s: float = 0.0) -> int | None:
        """The extended timestamp of a packet that holds `duration_s` of media.

        None for one that is more than `JUMP_S` away from where it should be: only the second of
        that kind in a row says that the stream has `jumped` (as RFC 3550 A.1 has it for sequence
        numbers), a single one proves nothing.
        """
        extended = self._extend(timestamp)
        delay_s = arrival_s - extended / self.rate_hz - duration_s
        if self.offset_s is not None and abs(delay_s - self.offset_s) > JUMP_S:
            self.jumped = self._suspect_s is not None and abs(delay_s - self._suspect_s) <= JUMP_S
            self._suspect_s = delay_s
            return None
        self._suspect_s = None
        self._newest = extended if self._newest is None else max(extended, self._newest)
        self.offset_s = self._arrivals.offset_s(arrival_s - delay_s, arrival_s)
        return extended

    def sender_report(self, ntp_s: float, timestamp: int) -> None:
        """`ntp_s`: seconds of NTP time; 0 comes from a sender without a clock (RFC 3550 6.4.1)."""
        self._report = _Report(ntp_s, timestamp) if ntp_s > 0 else None

    def time_s(self, extended: int) -> float:
        """On the monitor's clock, by arrivals. Only after the first packet."""
        assert self.offset_s is not None
        return extended / self.rate_hz + self.offset_s

    def ntp_s(self, extended: int) -> float | None:
        """On the sender's clock; None without a report."""
        if self._report is None:
            return None
        return self._report.ntp_s + (extended - self._extend(self._report.timestamp)) / self.rate_hz

    def time_of_ntp_s(self, ntp_s: float) -> float | None:
        """When the media of `ntp_s` is placed; None before the first packet and report."""
        if self._report is None or self.offset_s is None:
            return None
        reported_s = self._extend(self._report.timestamp) / self.rate_hz
        return reported_s + ntp_s - self._report.ntp_s + self.offset_s

    def _extend(self, timestamp: int) -> int:
        if self._newest is None:
            return timestamp
        return self._newest + (timestamp - self._newest + _HALF) % _WRAP - _HALF


class MediaClock:
    """Both streams of one participant. All times on the monitor's clock unless they say NTP."""

    def __init__(self) -> None:
        self.audio = StreamClock(AUDIO_RATE_HZ)
        self.skew_s: float | None = None
        """How much later than the sound the pictures of the same instant come; None without
        reports of both streams."""
        self._video = StreamClock(VIDEO_RATE_HZ)

    def reset_audio(self, rate_hz: int) -> None:
        """Another SSRC, or another codec with another clock: nothing of before holds."""
        self.audio = StreamClock(rate_hz)
        self.skew_s = None

    def reset_video(self) -> None:
        """Another SSRC: nothing of before holds."""
        self._video = StreamClock(VIDEO_RATE_HZ)
        self.skew_s = None

    def sender_report(self, kind: Literal["audio", "video"], ntp_s: float, timestamp: int) -> None:
        """From an RTCP sender report: both of its timestamps, NTP in seconds."""
        stream = self.audio if kind == "audio" else self._video
        stream.sender_report(ntp_s, timestamp)

    def video_time(self, timestamp: int, arrival_s: float) -> float:
        """When a picture was seen. To be called when the first packet of a picture has come: of
        all pictures, or of those that are looked at."""
        extended = self._video.arrived(timestamp, arrival_s)
        if self._video.jumped:
            self.reset_video()
            extended = self._video.arrived(timestamp, arrival_s)
        if extended is None:
            return arrival_s
        by_arrival_s = self._video.time_s(extended)
        ntp_s = self._video.ntp_s(extended)
        by_report_s = None if ntp_s is None else self.audio.time_of_ntp_s(ntp_s)
        if by_report_s is None or abs(by_arrival_s - by_report_s) > MAX_SKEW_S:
            self.skew_s = None
            return by_arrival_s
        self.skew_s = by_arrival_s - by_report_s
        return by_report_s
