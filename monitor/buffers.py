"""What one participant sent in the last seconds, written by time, and the judgement on it.

The buffer is the only queue between network and model: it overwrites the oldest and never grows.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.config import ScoringConfig
from vfd.speech import speech_share
from vfd.types import (
    SAMPLE_RATE_HZ,
    WINDOW_S,
    WINDOW_SAMPLES,
    Abstention,
    Audio,
    FaceFrame,
    ParticipantKey,
    Reason,
    Window,
)

MARGIN_S: Final = 2.0
"""Beyond one window: sound that runs ahead of the window being taken, and packets that are late."""
RING_SAMPLES: Final = WINDOW_SAMPLES + round(MARGIN_S * SAMPLE_RATE_HZ)
MAX_FACES: Final = 16
"""8 s at two faces a second, more than `face_max_age_s`; 2.4 MB a participant."""
MAX_LOOKS: Final = 32  # of one window, even if a face is looked for every 0.1 s
FRESH_FACE_S: Final = 1.0
"""Among faces this fresh the best picture goes first; a better but older one would show somebody
who may have been replaced since."""
VIDEO_PAUSE_S: Final = 2.0
MAX_MOUTHS: Final = 100
"""RING_SAMPLES of pictures at 20 a second, which is as many as are looked at for their mouths."""


Withheld = Callable[[Audio, float], Reason | None]
"""Why the voice in a window, (WINDOW_SAMPLES,) from the given time on, is not that of a participant
who shares sound and picture with others; None if it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A copy of the evidence for the window that ends at `end_s`, safe to read in another thread.

    `audio` (48000,) float32, holes zero; `received` (48000,) bool. `faces` by time, none newer than
    `end_s`. `last_video_s`: the newest picture of any kind. `rejected`: the newest refusal.
    `skew_s`: how much later than the sound the pictures of the same instant come, where known.
    `withheld`: None where everything that is heard counts as theirs.
    `untaken`: "audio", "video": what is sent in a codec that we lack, so that none of it comes.
    `mouth` (n, 2): times in the window, and `vfd.mouth.mouth_contrast` of each; mostly none.
    """

    key: ParticipantKey
    end_s: float
    audio: Audio
    received: NDArray[np.bool_]
    faces: tuple[FaceFrame, ...]
    last_video_s: float | None
    rejected: tuple[float, Reason] | None
    skew_s: float | None
    untaken: frozenset[str]
    mouth: NDArray[np.float64]
    scoring: ScoringConfig
    withheld: Withheld | None = None


class ParticipantBuffer:
    """Written and read on the event loop alone. All times on the monitor's clock."""

    def __init__(self, key: ParticipantKey, scoring: ScoringConfig) -> None:
        self.key = key
        self._scoring = scoring
        self._samples: Audio = np.zeros(RING_SAMPLES, np.float32)
        self._received = np.zeros(RING_SAMPLES, np.bool_)
        self._head: int | None = None  # the sample after the newest, counted from time 0
        self._faces: deque[FaceFrame] = deque(maxlen=MAX_FACES)
        self._mouth: deque[tuple[float, float]] = deque(maxlen=MAX_MOUTHS)
        self._last_video_s: float | None = None
        self._rejected: tuple[float, Reason] | None = None
        self._looked_at: deque[tuple[float, bool]] = deque(maxlen=MAX_LOOKS)
        self.skew_s: float | None = None
        self.withheld: Withheld | None = None
        self.untaken: frozenset[str] = frozenset()
        """See `Snapshot`."""

    @property
    def rejected(self) -> tuple[float, Reason] | None:
        """The newest picture that showed no usable face."""
        return self._rejected

    def write_audio(self, time_s: float, samples: Audio) -> None:
        """Places `samples` (any number, float32 in [-1, 1]) so that the first lies at `time_s`.
        What is older than the ring is dropped; a hole before them stays zero and unreceived."""
        start = round(time_s * SAMPLE_RATE_HZ)
        skipped = self._make_room(start, len(samples))
        if skipped < len(samples):
            self._put(start + skipped, samples[skipped:])

    def write_silence(self, time_s: float, duration_s: float) -> None:
        """Silence that the sender suppressed (DTX): zeros that count as received."""
        start = round(time_s * SAMPLE_RATE_HZ)
        count = round(duration_s * SAMPLE_RATE_HZ)
        skipped = self._make_room(start, count)
        if skipped < count:
            self._put(start + skipped, np.zeros(count - skipped, np.float32))

    def write_face(self, face: FaceFrame) -> None:
        """Keeps a usable face; faces may arrive out of order."""
        self._faces.append(face)
        if len(self._faces) > 1 and self._faces[-2].time_s > face.time_s:
            self._faces = deque(sorted(self._faces, key=lambda f: f.time_s), MAX_FACES)
        self.note_video(face.time_s)

    def write_mouth(self, time_s: float, contrast: float) -> None:
        """How open the mouth was at `time_s`, see `vfd.mouth`; in the order of time."""
        self._mouth.append((time_s, contrast))

    def note_video(self, time_s: float) -> None:
        """A picture came, whatever it shows."""
        self._last_video_s = max(time_s, self._last_video_s or time_s)

    def note_rejected(self, time_s: float, reason: Reason) -> None:
        """A picture was looked at and showed no usable face."""
        if self._rejected is None or time_s >= self._rejected[0]:
            self._rejected = (time_s, reason)
        self.note_video(time_s)

    def note_look(self, time_s: float, found: FaceFrame | Reason) -> None:
        """What came of looking for a face in the picture of `time_s`."""
        if isinstance(found, Reason):
            self.note_rejected(time_s, found)
        else:
            self.write_face(found)
        self._looked_at.append((time_s, not isinstance(found, Reason)))

    def share_with_face(self, since_s: float) -> float:
        """In [0, 1], of the pictures looked at since then; 0 if there were none."""
        seen = [usable for time_s, usable in self._looked_at if time_s >= since_s]
        return sum(seen) / len(seen) if seen else 0.0

    def note_skew(self, skew_s: float | None) -> None:
        """How much later than the sound the pictures of the same instant come; None: not known."""
        self.skew_s = skew_s

    def snapshot(self, end_s: float) -> Snapshot:
        """The evidence of the `WINDOW_S` seconds up to `end_s`; what the ring does not hold is a
        hole."""
        audio = np.zeros(WINDOW_SAMPLES, np.float32)
        received = np.zeros(WINDOW_SAMPLES, np.bool_)
        stop = round(end_s * SAMPLE_RATE_HZ)
        start = stop - WINDOW_SAMPLES
        if self._head is not None:
            first = max(start, self._head - RING_SAMPLES)
            last = min(stop, self._head)
            for at, ring in _pieces(first, last):
                to = slice(at - start, at - start + (ring.stop - ring.start))
                audio[to] = self._samples[ring]
                received[to] = self._received[ring]
        return Snapshot(
            key=self.key,
            end_s=end_s,
            audio=audio,
            received=received,
            faces=tuple(f for f in self._faces if f.time_s <= end_s),
            last_video_s=self._last_video_s,
            rejected=self._rejected,
            skew_s=self.skew_s,
            untaken=self.untaken,
            mouth=np.array([m for m in self._mouth if end_s - WINDOW_S <= m[0] < end_s]).reshape(
                -1, 2
            ),
            scoring=self._scoring,
            withheld=self.withheld,
        )

    def _make_room(self, start: int, count: int) -> int:
        """Advances the ring so that it ends no earlier than `start + count`, with a hole where
        nothing was written. Returns how many of the samples are too old to be placed."""
        stop = start + count
        head = start if self._head is None else self._head
        if stop > head:
            for _, ring in _pieces(max(head, stop - RING_SAMPLES), stop):
                self._samples[ring] = 0.0
                self._received[ring] = False
            head = stop
        self._head = head
        return max(0, head - RING_SAMPLES - start)

    def _put(self, start: int, samples: Audio) -> None:
        for at, ring in _pieces(start, start + len(samples)):
            offset = at - start
            self._samples[ring] = samples[offset : offset + (ring.stop - ring.start)]
            self._received[ring] = True


def _pieces(start: int, stop: int) -> list[tuple[int, slice]]:
    """The run [start, stop), at most one ring long, as slices of the ring, each with the sample
    that it begins at."""
    if stop <= start:
        return []
    at = start % RING_SAMPLES
    first = min(stop - start, RING_SAMPLES - at)
    pieces = [(start, slice(at, at + first))]
    if first < stop - start:
        pieces.append((start + first, slice(0, stop - start - first)))
    return pieces


def judge(snapshot: Snapshot) -> Window | Abstention:
    """The window, or the first reason why there is none: sound is looked at before pictures.

    A face that is still young enough is used even where the newest pictures were refused, unless
    somebody else was in the picture during the window, who may be the one who speaks.
    """
    scoring = snapshot.scoring
    coverage = float(np.count_nonzero(snapshot.received)) / WINDOW_SAMPLES
    if coverage < scoring.min_coverage:
        reason = Reason.AUDIO_GAP if coverage > 0 else _reason_without_sound(snapshot)
        return Abstention(snapshot.key, snapshot.end_s, reason, coverage=coverage)
    speech = speech_share(snapshot.audio)
    if speech < scoring.min_speech:
        return Abstention(snapshot.key, snapshot.end_s, Reason.NO_SPEECH, speech, coverage)
    if (withheld := _withheld(snapshot)) is not None:
        own = 0.0 if withheld is Reason.NO_SPEECH else speech
        return Abstention(snapshot.key, snapshot.end_s, withheld, own, coverage)
    faces = rank_faces(snapshot)
    skewed = snapshot.skew_s is not None and abs(snapshot.skew_s) > scoring.max_av_skew_s
    if skewed and (faces or not _paused(snapshot)):  # what is known of it is as old as the video
        return Abstention(snapshot.key, snapshot.end_s, Reason.AV_SKEW, speech, coverage)
    if _somebody_else(snapshot):
        return Abstention(snapshot.key, snapshot.end_s, Reason.SEVERAL_FACES, speech, coverage)
    if not faces:
        reason = _reason_without_face(snapshot)
        return Abstention(snapshot.key, snapshot.end_s, reason, speech, coverage)
    return Window(
        key=snapshot.key,
        start_s=snapshot.end_s - WINDOW_S,
        end_s=snapshot.end_s,
        audio=snapshot.audio,
        faces=faces,
        coverage=coverage,
        speech=speech,
    )


def _withheld(snapshot: Snapshot) -> Reason | None:
    """Why the voice that is heard is not scored with this participant's face."""
    if snapshot.withheld is None:
        return None
    if _paused(snapshot):
        return Reason.VIDEO_PAUSED
    return snapshot.withheld(snapshot.audio, snapshot.end_s - WINDOW_S)


def rank_faces(snapshot: Snapshot) -> tuple[FaceFrame, ...]:
    """Faces of at most `face_max_age_s`, best first: those of the last `FRESH_FACE_S` by quality,
    then the older ones from the newest."""
    end_s = snapshot.end_s
    usable = [f for f in snapshot.faces if end_s - f.time_s <= snapshot.scoring.face_max_age_s]
    fresh = [f for f in usable if end_s - f.time_s <= FRESH_FACE_S]
    older = [f for f in usable if end_s - f.time_s > FRESH_FACE_S]
    fresh.sort(key=lambda f: (f.quality, f.time_s), reverse=True)
    return (*fresh, *reversed(older))


def _paused(snapshot: Snapshot) -> bool:
    last_s = snapshot.last_video_s
    return last_s is not None and snapshot.end_s - last_s > VIDEO_PAUSE_S


def _reason_without_sound(snapshot: Snapshot) -> Reason:
    return Reason.CODEC_UNSUPPORTED if "audio" in snapshot.untaken else Reason.NO_AUDIO


def _somebody_else(snapshot: Snapshot) -> bool:
    if snapshot.rejected is None or snapshot.rejected[1] is not Reason.SEVERAL_FACES:
        return False
    seen_s = snapshot.rejected[0]
    alone_s = snapshot.faces[-1].time_s if snapshot.faces else seen_s
    return seen_s >= min(alone_s, snapshot.end_s - WINDOW_S) and not _paused(snapshot)


def _reason_without_face(snapshot: Snapshot) -> Reason:
    if snapshot.last_video_s is None:
        return Reason.CODEC_UNSUPPORTED if "video" in snapshot.untaken else Reason.NO_VIDEO
    if _paused(snapshot):
        return Reason.VIDEO_PAUSED
    newest_face_s = snapshot.faces[-1].time_s if snapshot.faces else None
    if snapshot.rejected is not None:
        refused_s, reason = snapshot.rejected
        if newest_face_s is None or refused_s > newest_face_s:
            return reason
    return Reason.NO_FACE if newest_face_s is None else Reason.FACE_STALE
