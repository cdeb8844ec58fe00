"""Small shards for the tests that read them: noise for faces, tones for voices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.clips import RECORDED, Clip, FaceInfo, Record, Split, Variant
from training.drops import DroppedClip
from training.prepare_report import write_report
from training.prepare_shard import key_of
from training.samples import Sample, as_jpeg, as_wav
from training.shard_files import REPORT, ShardHeader, ShardWriter
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

INFO = FaceInfo(0.5, 0.4, 0.5, 0.0, 0.0, 40.0, 360)


def shade(clip: int, crop: int, variant: int) -> Rgb:
    """A crop by which clip, number and variant can be told."""
    return np.full((224, 224, 3), (10 * clip, 100 * crop, 60 * variant), np.uint8)


def tone(clip: int, variant: int, seconds: float = 1.5) -> Audio:
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch = 200 + 10 * clip + variant
    return (0.3 * np.sin(2 * np.pi * pitch * time_s)).astype(np.float32)


def sample(
    clip: Clip, number: int, split: Split, lines: Sequence[str] = (RECORDED,), crops: int = 2
) -> Sample:
    variants, files = [], {}
    for v, line in enumerate(lines):
        voice = tone(number, v)
        files[f"v{v}.wav"] = as_wav(voice)
        files |= {f"v{v}.f{k}.jpg": as_jpeg(shade(number, k, v)) for k in range(crops)}
        variants.append(Variant(line, {}, len(voice), 1.0, (INFO,) * crops))
    return Sample(Record(clip, split, tuple(variants)), files)


def written(
    folder: Path,
    clips: int | Sequence[Clip] = 4,
    split: Split = Split.TRAIN,
    lines: Sequence[str] = (RECORDED,),
    dropped: Sequence[DroppedClip] = (),
    number: int = 0,
) -> ShardHeader:
    """One shard; clips by default are called "0", "1", ... of two identities."""
    if isinstance(clips, int):
        clips = [Clip("set", str(k), f"id{k % 2}", fake=k == 3) for k in range(clips)]
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, f"{split}-{number:05d}") as writer:
        for k, clip in enumerate(clips):
            writer.add(key_of(clip), sample(clip, k, split, lines))
        return writer.finish(dropped, {"decode": 1.0}, 2.0, 3.0)


def finished(folder: Path) -> Path:
    """As `prepare` leaves it."""
    headers = [ShardHeader.read(index) for index in sorted(folder.glob("*.jsonl"))]
    write_report(folder / REPORT, "set", headers, (), 1.0)
    return folder
