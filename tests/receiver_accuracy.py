"""What the receiver costs in accuracy: the same encoded media through full decoding and through
keyframes and its own path of sound, scored by the weights that ship.

make bench-receiver-accuracy

Synthetic people whom no training has seen; every voice is compared with every face. Writes
monitor/reports/receiver-accuracy.md.
"""

import argparse
import itertools
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
from aiortc.codecs.opus import OpusDecoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.jitterbuffer import JitterFrame

from engines.load import load_engine
from monitor.audio_clock import AudioPlacer
from monitor.audio_path import AudioPath
from monitor.buffers import ParticipantBuffer, judge
from monitor.config import Config
from monitor.keyframe_assembly import KeyframeAssembler
from monitor.keyframe_decoder import decode_keyframe
from monitor.media_clock import MediaClock
from monitor.rtp import RtpPacket
from monitor.sound_codecs import AudioCodec
from tests.fakes import ALICE
from training.codecs import decode_vp8
from training.people import TEST_SEED, draw_person
from training.talking import FPS, TalkingLoop, talking_loop
from vfd.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoint_path
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.front_ends import FRONT_ENDS
from vfd.metrics import auc
from vfd.types import FaceFrame, Reason, Rgb, Window

LENGTH_S = 4
END_S = 3.6  # of the window; the newest keyframe is then 1.6 s old
KEYFRAME_S = 2.0
RESAMPLES = 200
PATHS = ("full decoding", "this receiver")
GOAL = 0.005
REPORT = Path(__file__).parents[1] / "monitor" / "reports" / "receiver-accuracy.md"


@dataclass(frozen=True)
class Person:
    """What both paths made of one person; None where a path had no window."""

    windows: tuple[Window | None, Window | None]


@cache
def finder() -> FaceFinder:
    return FaceFinder(MtcnnDetector())


def meet(number: int) -> Person:
    """Renders, encodes and receives one person, twice."""
    traits = draw_person(TEST_SEED + 5_000_000 + number)
    loop = talking_loop(traits.voice, traits.face, number, LENGTH_S)
    return Person((_window(*fully_decoded(loop)), _window(*received(loop))))


def fully_decoded(loop: TalkingLoop) -> tuple[ParticipantBuffer, list[tuple[float, Rgb]]]:
    buffer = ParticipantBuffer(ALICE, Config().scoring)
    placer, decoder = AudioPlacer(buffer.write_audio), OpusDecoder()
    for number, packet in enumerate(loop.audio):
        for frame in decoder.decode(JitterFrame(packet, number * 960)):
            placer.push(frame, (number + 1) * 0.02)
    step = round(Config().scoring.face_interval_s * FPS)
    pictures = decode_vp8(loop.video)
    return buffer, [(i / FPS, pictures[i]) for i in range(0, len(pictures), step)]


def received(loop: TalkingLoop) -> tuple[ParticipantBuffer, list[tuple[float, Rgb]]]:
    buffer = ParticipantBuffer(ALICE, Config().scoring)
    path = AudioPath({96: AudioCodec("opus", 48_000, 2)}, MediaClock())
    for number, packet in enumerate(loop.audio):
        path.packet(number * 960, number, 96, packet, (number + 1) * 0.02)
        if number % 50 == 49:
            for piece in path.take((number + 1) * 0.02):
                assert piece.samples is not None
                buffer.write_audio(piece.time_s, piece.samples)
    step = round(KEYFRAME_S * FPS)
    return buffer, [(i / FPS, _keyframe(loop.video[i])) for i in range(0, len(loop.video), step)]


def _keyframe(encoded: bytes) -> Rgb:
    packet = av.Packet(encoded)
    packet.pts, packet.time_base = 0, Fraction(1, 90_000)
    payloads, _ = Vp8Encoder().pack(packet)
    assembler = KeyframeAssembler("VP8")
    whole = None
    for number, payload in enumerate(payloads):
        whole = assembler.add(RtpPacket(number, 0, 97, number == len(payloads) - 1, payload))
    assert whole is not None
    picture = decode_keyframe(whole)
    assert picture is not None
    return picture


def _window(buffer: ParticipantBuffer, pictures: Sequence[tuple[float, Rgb]]) -> Window | None:
    for time_s, rgb in pictures:
        found = finder().find(rgb, time_s)
        if isinstance(found, FaceFrame):
            buffer.write_face(found)
        else:
            assert isinstance(found, Reason)
            buffer.note_rejected(time_s, found)
    window = judge(buffer.snapshot(END_S))
    return window if isinstance(window, Window) else None


def embeddings(windows: Sequence[Window], checkpoint: Checkpoint) -> tuple[np.ndarray, np.ndarray]:
    """Voices and faces, (n, D) each, of unit length."""
    engine = load_engine("auto", checkpoint)
    picture = FRONT_ENDS[checkpoint.info.config.front_end].compute
    try:
        voices = [engine.embed_voice(picture(w.audio)[None])[0] for w in windows]
        faces = [engine.embed_faces(w.faces[0].rgb[None])[0] for w in windows]
    finally:
        engine.close()
    return np.stack(voices), np.stack(faces)


def accuracy(cosines: np.ndarray, people: np.ndarray) -> float:
    """AUC over the pairs of `people` (indices, repeats allowed), own faces against others'."""
    chosen = cosines[np.ix_(people, people)]
    own = people[:, None] == people[None, :]
    return auc(chosen[own], chosen[~own])


def table(people: Sequence[Person], checkpoint: Checkpoint) -> str:
    """Markdown: both paths, and one's voices with the other's faces; the last column is the
    difference to full decoding with its 95 % interval over people."""
    both = [p.windows for p in people if p.windows[0] and p.windows[1]]
    embedded = [embeddings([w[path] for w in both], checkpoint) for path in range(2)]  # type: ignore[misc]
    draws = np.random.default_rng(0).integers(0, len(both), (RESAMPLES, len(both)))
    everybody = np.arange(len(both))
    reference = embedded[0][0] @ embedded[0][1].T
    rows = [
        f"| {len(people)} people, windows of both: {len(both)} | AUC | own face | difference |",
        "|-|-|-|-|",
    ]
    for voice, face in itertools.product(range(2), repeat=2):
        cosines = embedded[voice][0] @ embedded[face][1].T
        change = accuracy(cosines, everybody) - accuracy(reference, everybody)
        spread = [accuracy(cosines, d) - accuracy(reference, d) for d in draws]
        low, high = np.quantile(spread, (0.025, 0.975))
        rows.append(
            f"| voice: {PATHS[voice]}, face: {PATHS[face]} | {accuracy(cosines, everybody):.4f} "
            f"| {np.diag(cosines).mean():.3f} | {change:+.4f} ({low:+.4f} to {high:+.4f}) |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=160)
    args = parser.parse_args()
    checkpoint = load_checkpoint(shipped_checkpoint_path())
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        people = pool.map(meet, range(args.people), chunksize=4)
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("aiortc", "av", "openvino", "numpy")
    )
    REPORT.write_text(f"""\
# Accuracy through the receiver

`make bench-receiver-accuracy` wrote this; {versions}; weights sha256 {checkpoint.sha256[:12]},
{checkpoint.info.trained_on}. The same encoded media, once decoded whole and once received:
keyframes {KEYFRAME_S:.0f} s apart and the receiver's own sound. Goal: the AUC within {GOAL} of
that of full decoding.

{table(people, checkpoint)}
""")
    print(REPORT.read_text())


if __name__ == "__main__":
    main()
