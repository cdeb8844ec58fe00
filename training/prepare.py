"""Draws and speaks synthetic people once, so that training only has to read them.

Every identity gets its face crops (drawn, coded, found and aligned exactly as the monitor does)
and its voice clips (spoken, coded). An identity's data depends on the seed of the run and on its
own seed alone, not on how the work is divided. Faces and voices of 25 identities make a file each;
a run that was interrupted goes on with the files that are missing.
"""

import dataclasses
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training import people, voice_synthesis
from training.degrade import CALL, TRAINING, film, say
from training.people import TEST_SEED, draw_person
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.quality import QualityLimits
from vfd.types import FACE_SIZE_PX, SAMPLE_RATE_HZ, Reason, Rgb

PLAN: Final = "plan.json"
INDEX: Final = "index.json"
SHARD_IDENTITIES: Final = 25  # a worker holds this many: 12 MB of faces
MAX_ATTEMPTS: Final = 3  # pictures drawn for one crop before another crop takes its place


class Split(StrEnum):
    """Which people: the model learns from `train`, its threshold is set on `validation`, and what
    is reported is measured on `test`. No identity is in two."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much to make: identities a split, `faces` crops and `voices` clips of `clip_s` seconds
    an identity."""

    train: int
    validation: int
    test: int
    faces: int
    voices: int
    clip_s: float


@dataclass(frozen=True, slots=True)
class Shard:
    """Files of one split, a row for each of `seeds`: `<name>-faces.npy` (n, faces, 224, 224, 3)
    uint8, `<name>-faces.json` (see Found) and `<name>-voices.npy` (n, voices, samples) int16 at
    16 kHz."""

    name: str
    split: str
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """How many pictures showed a face, how many did not, by reason, and the person seeds of whom no
    picture did; their crops are black."""

    pictures: int
    refused: dict[str, int]
    missing: list[int]


@dataclass(frozen=True, slots=True)
class _Task:
    kind: str  # "faces" or "voices"
    out: Path
    shard: Shard
    amounts: Amounts
    seed: int

    @property
    def path(self) -> Path:
        return self.out / f"{self.shard.name}-{self.kind}.npy"


def prepare(out: Path, amounts: Amounts, seed: int, workers: int = 2) -> None:
    """Fills `out`. `index.json` is written last: where it is, everything is.

    Raises FileExistsError when `out` holds data of another plan.
    """
    plan = _plan(amounts, seed)
    _claim(out, plan)
    started = time.monotonic()
    shards = list(_shards(amounts, seed))
    tasks = [_Task(kind, out, s, amounts, seed) for s in shards for kind in ("faces", "voices")]
    _run([task for task in tasks if not task.path.exists()], workers, started)
    seconds = round(time.monotonic() - started, 1)
    found = [_found(out, shard) for shard in shards]
    index = plan | {
        "seconds_of_last_run": seconds,
        "pictures_found": sum(f.pictures for f in found),
        "pictures_refused": dict(sum((Counter(f.refused) for f in found), Counter[str]())),
        "missing": [seed for f in found for seed in f.missing],
        "shards": [dataclasses.asdict(shard) for shard in shards],
    }
    _write_json(out / INDEX, index)
    print(f"{seconds} s; refused pictures: {index['pictures_refused']}", flush=True)


def person_seeds(amounts: Amounts, seed: int) -> dict[Split, list[int]]:
    """Distinct person seeds: those for tests at or above TEST_SEED, all others below."""
    rng = np.random.default_rng((people.VERSION, seed))
    wanted = amounts.train + amounts.validation
    known = [int(s) for s in dict.fromkeys(rng.integers(TEST_SEED, size=2 * wanted + 16))][:wanted]
    unseen = [int(s) for s in dict.fromkeys(rng.integers(TEST_SEED, size=2 * amounts.test + 16))]
    return {
        Split.VALIDATION: known[amounts.train :],
        Split.TRAIN: known[: amounts.train],
        Split.TEST: [TEST_SEED + s for s in unseen[: amounts.test]],
    }


def _plan(amounts: Amounts, seed: int) -> dict[str, Any]:
    """What decides every byte of the data, as JSON has it."""
    plan = {
        "people_version": people.VERSION,
        "voice_version": voice_synthesis.VERSION,
        "seed": seed,
        "amounts": dataclasses.asdict(amounts),
        "lines": {"train": dataclasses.asdict(TRAINING), "call": dataclasses.asdict(CALL)},
    }
    return dict(json.loads(json.dumps(plan)))


def _claim(out: Path, plan: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    path = out / PLAN
    if not path.exists():
        _write_json(path, plan)
    elif json.loads(path.read_text()) != plan:
        raise FileExistsError(f"{path}: the folder holds data of another plan; choose another")


def _shards(amounts: Amounts, seed: int) -> Iterator[Shard]:
    for split, seeds in person_seeds(amounts, seed).items():
        for number, start in enumerate(range(0, len(seeds), SHARD_IDENTITIES)):
            part = tuple(seeds[start : start + SHARD_IDENTITIES])
            yield Shard(f"{split}-{number:04d}", split, part)


def _run(tasks: Sequence[_Task], workers: int, started: float) -> None:
    """All tasks, over processes started afresh, with a line of progress for every tenth task."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when a worker starts: one core each
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_make, task) for task in tasks]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if done % 10 == 0 or done == len(tasks):
                elapsed = time.monotonic() - started
                remaining = elapsed / done * (len(tasks) - done)
                print(
                    f"{done}/{len(tasks)} files, {done / elapsed:.2f}/s, {remaining:.0f} s to go",
                    flush=True,
                )


def _make(task: _Task) -> None:
    """Runs in a worker."""
    if task.kind == "faces":
        finder = FaceFinder(MtcnnDetector(), QualityLimits())
        rows, found = _all_crops(finder, task)
        _write_json(task.path.with_suffix(".json"), dataclasses.asdict(found))
    else:
        rows = np.stack([_clips(seed, task) for seed in task.shard.seeds])
    partial = task.path.with_name(f".{task.path.name}")
    np.save(partial, rows)
    os.replace(partial, task.path)


def _all_crops(finder: FaceFinder, task: _Task) -> tuple[NDArray[np.uint8], Found]:
    shape = (len(task.shard.seeds), task.amounts.faces, FACE_SIZE_PX, FACE_SIZE_PX, 3)
    rows = np.zeros(shape, dtype=np.uint8)
    found, refused, missing = 0, Counter[str](), []
    for row, seed in zip(rows, task.shard.seeds, strict=True):
        crops, reasons = _crops(finder, seed, task)
        refused.update(str(reason) for reason in reasons)
        found += len(crops)
        if not crops:
            missing.append(seed)
            continue
        for number in range(task.amounts.faces):
            row[number] = crops[number % len(crops)]
    return rows, Found(found, dict(refused), missing)


def _crops(finder: FaceFinder, seed: int, task: _Task) -> tuple[list[Rgb], list[Reason]]:
    """As many aligned crops as are wanted or could be found, each of a new scene."""
    face = draw_person(seed).face
    line = TRAINING if task.shard.split == Split.TRAIN else CALL
    crops: list[Rgb] = []
    reasons: list[Reason] = []
    for attempt in range(MAX_ATTEMPTS * task.amounts.faces):
        picture = film(face, line, np.random.default_rng((task.seed, seed, 1, attempt)))
        result = finder.find(picture, 0.0)
        if isinstance(result, Reason):
            reasons.append(result)
        else:
            crops.append(result.rgb)
        if len(crops) == task.amounts.faces:
            break
    return crops, reasons


def _clips(seed: int, task: _Task) -> NDArray[np.int16]:
    """(voices, samples) int16."""
    voice = draw_person(seed).voice
    line = TRAINING if task.shard.split == Split.TRAIN else CALL
    clips = np.zeros(
        (task.amounts.voices, round(task.amounts.clip_s * SAMPLE_RATE_HZ)), dtype=np.int16
    )
    for number, clip in enumerate(clips):
        rng = np.random.default_rng((task.seed, seed, 2, number))
        sound = say(voice, task.amounts.clip_s, line, rng)
        clip[: len(sound)] = np.clip(np.round(sound * 32_767), -32_768, 32_767)
    return clips


def _found(out: Path, shard: Shard) -> Found:
    return Found(**json.loads((out / f"{shard.name}-faces.json").read_text()))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
