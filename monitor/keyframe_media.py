"""Media the keyframe way: packets in, voice by time and one face picture every few seconds out."""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from aiortc import RTCConfiguration, RTCPeerConnection

from monitor.aiortc_hooks import DtlsSrtp, MediaPeer, Network
from monitor.attention import Attention
from monitor.audio_path import AudioPath
from monitor.burst import Burst
from monitor.config import ReceiverConfig
from monitor.datagrams import MediaSink, Pump
from monitor.frame_sequence import Frame
from monitor.keyframe_assembly import Keyframe
from monitor.keyframe_decoder import DecoderPool
from monitor.keyframe_requests import KeyframeRequests, KeyframeTally
from monitor.media import FaceSink
from monitor.media_clock import MediaClock
from monitor.rtcp import SenderReport
from monitor.rtp_session import RtpSession
from monitor.rtp_source import Kind, PayloadFormat, with_comfort_noise
from monitor.sdp import wants_fir
from monitor.sessions import Session
from monitor.sound_codecs import AudioCodec
from monitor.video_path import VideoPath
from vfd.types import Rgb

BURST_FACE_S: Final = 0.25
BURST_MOUTH_S: Final = 0.045
"""Between pictures whose mouth is looked at: every other one of 30 a second shows syllables."""
MAX_MOMENTS: Final = 10  # BURST_FACE_S of them, and what may come late

FrameListener = Callable[[float, Rgb], None]
logger = logging.getLogger(__name__)


class KeyframeMedia:
    """One participant's media; pictures go to `faces` as soon as they are decoded."""

    takes_comfort_noise = True

    def __init__(
        self,
        session: Session,
        faces: FaceSink,
        config: ReceiverConfig,
        clock: Callable[[], float],
        pump: Pump,
        decoders: DecoderPool,
        tally: KeyframeTally,
    ) -> None:
        self._session = session
        self._faces = faces
        self._config = config
        self._clock = clock
        self._pump = pump
        self._decoders = decoders
        self._media_clock = MediaClock()
        self._codecs: dict[int, AudioCodec] = {}
        self._audio = AudioPath(self._codecs, self._media_clock)
        self.video = VideoPath(
            KeyframeRequests(config.keyframe_interval_s, clock()),
            self._on_keyframe,
            self._media_clock.reset_video,
            tally,
        )
        self.rtp: RtpSession | None = None
        self._fir = False
        self._closed = False
        self._burst: Burst | None = None
        self._on_frame: FrameListener | None = None
        self._face_due_s = 0.0
        self._moments: deque[tuple[float, Rgb]] = deque(maxlen=MAX_MOMENTS)

    def connect(self, configuration: RTCConfiguration, offer: str) -> RTCPeerConnection:
        """A connection whose packets come here."""
        self._fir = wants_fir(offer)
        ports = (self._config.udp_port_min, self._config.udp_port_max)
        network = Network(ports, self._config.addresses)
        return MediaPeer(configuration, self._pump, network, self._open)

    async def packets(self) -> int:
        """RTP and RTCP packets, decrypted or not."""
        return self.rtp.packets if self.rtp else 0

    def ended(self) -> str:
        """Never: whether a silent source is gone or pauses, the connection tells."""
        return ""

    def hear(self, end_s: float) -> None:
        """Decodes what was said before `end_s`; some 1 ms for a second of speech."""
        buffer = self._session.buffer
        if self.video.last_packet_s is not None:
            buffer.note_video(self.video.last_packet_s)
        if self.rtp is not None:
            self.rtp.listen()
        buffer.note_skew(self._media_clock.skew_s)
        for piece in self._audio.take(end_s):
            if piece.samples is None:
                buffer.write_silence(piece.time_s, piece.duration_s)
            else:
                buffer.write_audio(piece.time_s, piece.samples)

    def attend(self, attention: Attention, busy: bool) -> None:
        """Looks as closely as the verdict asks for; once a hop."""
        now_s, verdict = self._clock(), self._session.verdict
        self._session.lips.able = not busy
        self.video.requests.interval_s = attention.interval_s(verdict, now_s, busy)
        if self.video.bursting:
            return
        doubted = self._session.doubted(now_s)
        if seconds := attention.burst_s(self._session.key, verdict, now_s, busy, doubted=doubted):
            self.burst(seconds)

    async def close(self) -> None:
        """What is still being decoded comes to nothing."""
        self._closed = True
        self._session.lips.able = False

    def burst(self, seconds: float, on_frame: FrameListener | None = None) -> None:
        """Decodes every frame for `seconds` from now on. `on_frame(time_s, rgb)` gets them all;
        the face finder one in BURST_FACE_S, because it would not keep up with more."""
        now_s = self._clock()
        self._on_frame = on_frame
        self._moments.clear()
        self._burst = Burst(self._decoders, self._on_burst_picture)
        self.video.burst(now_s, now_s + seconds, self._on_burst_frame)

    def _open(self, kind: Kind, srtp: DtlsSrtp, formats: list[PayloadFormat]) -> MediaSink:
        if kind == "audio":
            formats = with_comfort_noise(formats)
            self._codecs.update((f.payload_type, _audio_codec(f)) for f in formats)
        if self.rtp is None:
            self.rtp = RtpSession(
                srtp,
                self._audio,
                self.video,
                self._config.max_bitrate_bps,
                self._on_sender_report,
                self._fir,
            )
        self.rtp.accept(formats)
        return self.rtp

    def _on_sender_report(self, kind: Kind, report: SenderReport, arrival_s: float) -> None:
        if kind != "rtx":
            self._media_clock.sender_report(kind, report.ntp_s, report.rtp_timestamp)

    def _on_keyframe(self, keyframe: Keyframe, arrival_s: float) -> None:
        time_s = self._media_clock.video_time(keyframe.timestamp, arrival_s)
        self._decoders.decode(keyframe, partial(self._on_picture, time_s))

    def _on_burst_frame(self, frame: Frame, arrival_s: float) -> bool:
        assert self._burst is not None
        return self._burst.push(frame, self._media_clock.video_time(frame.timestamp, arrival_s))

    def _on_burst_picture(self, time_s: float, rgb: Rgb) -> None:
        if self._closed:
            return
        if self._on_frame is not None:
            self._on_frame(time_s, rgb)
        if time_s >= self._face_due_s:
            self._face_due_s = time_s + BURST_FACE_S
            self._faces.submit(self._session, time_s, rgb, tuple(self._moments))
            self._moments.clear()
        elif not self._moments or time_s - self._moments[-1][0] >= BURST_MOUTH_S:
            self._moments.append((time_s, rgb))

    def _on_picture(self, time_s: float, rgb: Rgb | None) -> None:
        if rgb is not None and not self._closed:
            self._faces.submit(self._session, time_s, rgb)


def _audio_codec(form: PayloadFormat) -> AudioCodec:
    return AudioCodec(form.name, form.clock_rate_hz, form.channels)
