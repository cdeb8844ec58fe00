"""Stand-ins at our own seams, real implementations driven by a script, and small makers of data."""

import asyncio
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engines.engine import EngineError
from monitor.buffers import ParticipantBuffer
from monitor.sessions import Registry, Session
from vfd.checkpoint import Calibration, Checkpoint, CheckpointInfo
from vfd.limits import DecisionLimits
from vfd.model_config import PRESETS
from vfd.operating import DecisionModel, OperatingPoint
from vfd.types import SAMPLE_RATE_HZ, Audio, Box, FaceFrame, ParticipantKey

ALICE = ParticipantKey("standup", "alice")
BOB = ParticipantKey("standup", "bob")
LIMITS = DecisionLimits(suspect_below=0.1, match_above=0.3)
CALIBRATION = Calibration(
    threshold=0.2,
    real_mean=0.6,
    real_std_between=0.12,
    real_std_within=0.15,
    fake_mean=-0.2,
    fake_std_between=0.12,
    fake_std_within=0.15,
)
DECISION = DecisionModel(
    centre=0.2,
    slope=10.0,
    fall_weight=8.0,
    jump_weight=0.0,
    change_bias=3.0,
    swap_jump=0.9,
    person_mean=0.7,
    person_sd=0.15,
    people=400,
    hours=2.0,
    points=(
        OperatingPoint(1.0, 10.0, 0.75, 0.95, allowance=1.0, identity=9.0, slow=3.0, change=7.0),
    ),
)
"""Thresholds such as a fit to CALIBRATION finds: an alarm takes three or four low windows."""


def checkpoint(trained_on: str = "synthetic people v1") -> Checkpoint:
    """What a model says about itself; it has no tensors."""
    info = CheckpointInfo(1, PRESETS["nano"], CALIBRATION, trained_on, "train", "0" * 40, DECISION)
    return Checkpoint(info, {}, "ab" * 32)


class VirtualClock:
    """Seconds that pass only when told to."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class FakeEngine:
    """Every voice is the vector (1, 0); a face of mean brightness b (0..255) has the cosine
    (b - 100) / 100 with it: grey 160 is a similarity of 0.6, grey 80 one of -0.2."""

    def __init__(self, best_batch: int = 4) -> None:
        self.best_batch = best_batch
        self.error: Exception | None = None
        self.gate: threading.Event | None = None
        """When set, every call waits until it is set, as a slow engine would."""
        self.voice_batches: list[int] = []
        self.face_batches: list[int] = []
        self.threads: set[str] = set()

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        assert spectrograms.shape[1:] == (1, 512, 300)
        assert spectrograms.dtype == np.float32
        self._enter()
        self.voice_batches.append(len(spectrograms))
        return np.tile(np.array([1, 0], np.float32), (len(spectrograms), 1))

    def embed_faces(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert crops.shape[1:] == (224, 224, 3)
        assert crops.dtype == np.uint8
        self._enter()
        self.face_batches.append(len(crops))
        cosine = np.clip((crops.mean(axis=(1, 2, 3)) - 100) / 100, -1, 1)
        return np.stack([cosine, np.sqrt(1 - cosine**2)], axis=1).astype(np.float32)

    def close(self) -> None:
        """There is nothing to free."""

    def _enter(self) -> None:
        self.threads.add(threading.current_thread().name)
        if self.gate is not None:
            self.gate.wait(5)
        if self.error is not None:
            raise self.error


def engine_error() -> EngineError:
    return EngineError("the accelerator fell off the bus")


def face(time_s: float, grey: int = 160, quality: float = 0.8) -> FaceFrame:
    return FaceFrame(time_s, np.full((224, 224, 3), grey, np.uint8), Box(0, 0, 90, 90), quality)


def voice(duration_s: float, seed: int = 0) -> Audio:
    """A buzz with moving formants and a syllable rhythm, which the voice detector takes for speech;
    float32 in [-1, 1]. With a seed the rhythm is its own: two of one rhythm in a call are taken for
    an echo."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    steady = (np.sin(2 * np.pi * hz * t) for hz in (0.7, 3, 4))
    melody, vowels, syllables = (_wandering(t, rng) for _ in range(3)) if seed else steady
    pitch = (rng.uniform(100, 200) if seed else 120) + 15 * melody
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    formant = 700 + 200 * vowels
    sound = np.zeros_like(t)
    for harmonic in range(1, 25):
        gain = np.exp(-(((harmonic * pitch - formant) / 400) ** 2)) + 0.3 / harmonic
        sound += gain * np.sin(harmonic * phase)
    sound *= 0.6 + 0.4 * syllables
    sound += 0.01 * rng.normal(size=len(t))
    samples: Audio = (0.5 * sound / np.abs(sound).max()).astype(np.float32)
    return samples


def _wandering(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Between -1 and 1, another value eight times a second."""
    knots = np.arange(0, t[-1] + 0.25, 0.125)
    return np.interp(t, knots, rng.uniform(-1, 1, len(knots)))


def speak(buffer: ParticipantBuffer, start_s: float, end_s: float) -> None:
    """Writes speech in packets of 20 ms, as a receiver does."""
    packet = SAMPLE_RATE_HZ // 50
    sound = voice(end_s - start_s)
    for at in range(0, len(sound), packet):
        buffer.write_audio(start_s + at / SAMPLE_RATE_HZ, sound[at : at + packet])


def show(
    buffer: ParticipantBuffer, start_s: float, end_s: float, grey: int | Callable[[float], int]
) -> None:
    """Writes two faces a second; `grey` sets the similarity that FakeEngine gives them."""
    for time_s in np.arange(start_s, end_s, 0.5):
        level = grey if isinstance(grey, int) else grey(float(time_s))
        buffer.write_face(face(float(time_s), level))


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Waits for what another thread or task will bring about. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - a condition of any kind has no event
            await asyncio.sleep(0.005)


def talking(registry: Registry, key: ParticipantKey, end_s: float, grey: int = 160) -> Session:
    """Somebody who has spoken and been seen for the six seconds before `end_s`."""
    session = registry.join(key, end_s - 6)
    speak(session.buffer, end_s - 4, end_s)
    show(session.buffer, end_s - 6, end_s, grey)
    return session
