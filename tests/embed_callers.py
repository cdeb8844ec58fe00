"""Embeds callers for `make bench-decision` and for `vfd-train calibrate --callers`.

    python -m tests.embed_callers FOLDER --calibration 800 --test 2080

Resumable: a file holds forty people, and those that are there are left alone.
"""

import argparse
import multiprocessing
from pathlib import Path

from engines.load import load_engine
from training.callers import PEOPLE_PER_FILE, CallerMaker, caller_seeds, save_callers
from vfd.checkpoint import load_checkpoint, shipped_checkpoint_path
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder

Job = tuple[Path, list[int]]


def jobs(folder: Path, kind: str, count: int) -> list[Job]:
    """What is missing."""
    seeds = caller_seeds(count, unseen=kind == "test")
    parts = [seeds[at : at + PEOPLE_PER_FILE] for at in range(0, count, PEOPLE_PER_FILE)]
    files = [folder / f"{kind}-{number:04d}.npz" for number in range(len(parts))]
    return [(f, part) for f, part in zip(files, parts, strict=True) if not f.exists()]


def work(todo: list[Job]) -> None:
    """One process: one engine thread, one detector thread."""
    checkpoint = load_checkpoint(shipped_checkpoint_path())
    engine = load_engine("openvino", checkpoint)
    maker = CallerMaker(engine, FaceFinder(MtcnnDetector()), checkpoint.info.config.front_end)
    for path, seeds in todo:
        save_callers(path, maker.make(seeds))
        print(path.name, flush=True)
    engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calibration", type=int, default=800)
    parser.add_argument("--test", type=int, default=2080)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    todo = [
        *jobs(options.folder, "calibration", options.calibration),
        *jobs(options.folder, "test", options.test),
    ]
    shares = [todo[k :: options.workers] for k in range(options.workers)]
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        pool.map(work, shares, chunksize=1)


if __name__ == "__main__":
    main()
