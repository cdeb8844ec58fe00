"""The receiving side of a benchmark: receivers, and the hops of a scoring loop without scoring."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from monitor.buffers import ParticipantBuffer
from monitor.config import Config, ReceiverConfig, WhipConfig
from monitor.receiver import Receiver
from monitor.receiving import Receiving
from monitor.sessions import Session
from tests.fakes import LIMITS
from vfd.decision import Decider
from vfd.types import SAMPLE_RATE_HZ, Audio, ParticipantKey, Rgb

HOP_S = 1.0
SETTLE_S = 0.15
PICTURE_S = 2.0


class Pictures:
    """Keeps when every participant was seen."""

    def __init__(self) -> None:
        self.times: dict[ParticipantKey, list[float]] = {}
        self.shape: tuple[int, ...] = ()

    def submit(
        self, session: Session, time_s: float, rgb: Rgb, before: Sequence[tuple[float, Rgb]] = ()
    ) -> None:
        self.times.setdefault(session.key, []).append(time.monotonic())
        self.shape = rgb.shape


class Tape:
    """What one participant was heard to say, hop after hop."""

    def __init__(self) -> None:
        self._sound: list[Audio] = []
        self._received: list[np.ndarray] = []

    def add(self, sound: Audio, received: np.ndarray) -> None:
        self._sound.append(sound)
        self._received.append(received)

    def correlation(self, source: Audio) -> float:
        """With `source`, played round and round, outside holes: every second is aligned for itself,
        since a clock that is corrected shifts all that follows. The mean over the seconds."""
        spectrum = np.fft.rfft(source)
        found = []
        for sound, received in zip(self._sound, self._received, strict=True):
            padded = np.zeros(len(source))
            padded[: len(sound)] = sound
            shift = int(np.fft.irfft(np.fft.rfft(padded).conj() * spectrum, len(source)).argmax())
            played = source[(np.arange(len(sound)) + shift) % len(source)]
            if received.any() and sound[received].any():
                found.append(float(np.corrcoef(sound[received], played[received])[0, 1]))
        return float(np.mean(found))


class Room:
    """Everybody who is received on one path. `tapes`: participants whose sound is kept; all would
    cost what the receiver does not."""

    def __init__(self, path: str, executor: Executor, tapes: int = 3) -> None:
        config = Config(
            whip=WhipConfig(no_media_timeout_s=60.0),
            receiver=ReceiverConfig(path=path, keyframe_interval_s=PICTURE_S),  # type: ignore[arg-type]
        )
        self.config = replace(config, scoring=replace(config.scoring, face_interval_s=PICTURE_S))
        self.pictures = Pictures()
        self.receiving = Receiving(self.config, self.pictures, executor, time.monotonic)
        self.sessions: list[Session] = []
        self.receivers: list[Receiver] = []
        self.coverage: list[float] = []
        self._tape_count = tapes
        self.tapes: list[Tape] = []
        self.skipped = 0
        self._runs: list[asyncio.Task[str]] = []

    async def join(self, offer: str) -> str:
        key = ParticipantKey("bench", f"p{len(self.sessions)}")
        buffer = ParticipantBuffer(key, self.config.scoring)
        session = Session(key, buffer, Decider(LIMITS), time.monotonic())
        receiver = self.receiving.receiver(session)
        answer = await receiver.answer(offer)
        self.sessions.append(session)
        self.receivers.append(receiver)
        self._runs.append(asyncio.create_task(receiver.run()))
        return answer

    def seen(self) -> bool:
        return len(self.pictures.times) == len(self.sessions)

    def forget(self) -> None:
        """What came so far was warming up."""
        self.coverage.clear()
        self.tapes = [Tape() for _ in self.sessions[: self._tape_count]]
        self.skipped = 0

    async def hop_forever(self) -> None:
        due_s = time.monotonic() + HOP_S
        while True:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await self._hop(due_s - SETTLE_S)
            missed = max(0, int((time.monotonic() - due_s) // HOP_S))
            self.skipped += missed
            due_s += (missed + 1) * HOP_S

    async def _hop(self, end_s: float) -> None:
        media = [r.media for r in self.receivers]
        await self.receiving.hear(media, end_s)
        self.receiving.attend(media)
        new = slice(-round(HOP_S * SAMPLE_RATE_HZ), None)
        for index, session in enumerate(self.sessions):
            snapshot = session.buffer.snapshot(end_s)
            self.coverage.append(float(snapshot.received[new].mean()))
            if index < len(self.tapes):
                self.tapes[index].add(snapshot.audio[new], snapshot.received[new])

    async def close(self) -> None:
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)
        await asyncio.gather(*(receiver.close() for receiver in self.receivers))
        self.receiving.close()
