"""Draws the pictures of the README: explain.png and timeline.png of a synthetic caller whose face
is swapped halfway, and demo.svg of a demonstration, into monitor/reports.

python tests/make_pictures.py
"""

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from media_files import OPUS, encode
from PIL import Image
from rich.console import Console

from monitor import demo
from training.face_drawing import FaceDrawer
from training.people import TEST_SEED, FaceTraits, draw_person
from training.scenes import draw_scene, pose_track
from training.voice_synthesis import record, speak
from vfd.types import Rgb

REPORTS = Path(__file__).parents[1] / "monitor" / "reports"
EXPLANATION, TIMELINE, DEMO = (REPORTS / n for n in ("explain.png", "timeline.png", "demo.svg"))
DEMO_SEED, DEMO_COLUMNS = 1, 84
CALLER, IMPOSTOR = TEST_SEED + 1, TEST_SEED + 2
SECONDS, SWAP_AT_S, FPS = 40, 20, 10
WIDTH_PX = 1000


def filmed(face: FaceTraits, seconds: int, seed: int) -> list[Rgb]:
    """`seconds` of talking in one scene."""
    rng = np.random.default_rng(seed)
    drawer = FaceDrawer(face, draw_scene(rng))
    mouth = np.clip(rng.normal(0.3, 0.3, seconds * FPS), 0, 1)
    return [drawer.draw(pose) for pose in pose_track(rng, mouth, FPS)]


def make_clip(path: Path) -> Path:
    """The caller's voice all along; from SWAP_AT_S on somebody else's face."""
    caller, impostor = draw_person(CALLER), draw_person(IMPOSTOR)
    frames = filmed(caller.face, SWAP_AT_S, 1)
    frames += filmed(impostor.face, SECONDS - SWAP_AT_S, 2)
    rng = np.random.default_rng(3)
    sound = record(speak(caller.voice, SECONDS, rng).audio, rng)
    return encode(
        path,
        picture=lambda time_s: frames[round(time_s * FPS)],
        picture_s=SECONDS,
        sound=sound[: SECONDS * 16_000],
        form=OPUS,
    )


def shrink(path: Path) -> None:
    """To 256 colours and WIDTH_PX: a sixth of the bytes."""
    with Image.open(path) as full:
        height = full.height * WIDTH_PX // full.width
        small = full.convert("RGB").resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
    # Median cut, the usual method, would spend the palette on the greys of the spectrograms.
    small = small.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def draw_watched() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "synthetic-swap.mkv")
        pictures = ("--explain", str(EXPLANATION), "--plot", str(TIMELINE))
        command = [sys.executable, "-m", "monitor.cli", "watch", str(clip), *pictures]
        subprocess.run(command, cwd=REPORTS.parents[1], check=True)
    for picture in (EXPLANATION, TIMELINE):
        shrink(picture)


def draw_demo() -> None:
    console = Console(record=True, width=DEMO_COLUMNS, file=io.StringIO(), color_system="truecolor")
    with mock.patch.object(demo, "Console", return_value=console):
        parser = argparse.ArgumentParser()
        demo.add_arguments(parser)
        code = demo.run(parser.parse_args([f"--seed={DEMO_SEED}"]))
    if code:
        sys.exit(f"the demonstration ended with exit code {code}")
    console.save_svg(str(DEMO), title="make demo")


if __name__ == "__main__":
    draw_watched()
    draw_demo()
