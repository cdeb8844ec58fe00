"""Pictures and sound of the real clips, and drawn faces, for the tests that look at faces."""

from pathlib import Path

import av
import numpy as np

from training.face_drawing import FaceDrawer
from training.people import TEST_SEED, draw_person
from training.scenes import Pose, draw_pose, draw_scene
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb


def pictures(clip: Path, every: int = 1) -> list[Rgb]:
    with av.open(str(clip)) as container:
        frames = list(container.decode(video=0))[::every]
        return [frame.to_ndarray(format="rgb24") for frame in frames]


def sound(clip: Path) -> Audio:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    with av.open(str(clip)) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def drawn(index: int, pose: Pose | None = None) -> Rgb:
    """Test person `index` in a scene of their own, (360, 640, 3)."""
    rng = np.random.default_rng((index, 1))
    drawer = FaceDrawer(draw_person(TEST_SEED + index).face, draw_scene(rng))
    return drawer.draw(pose or draw_pose(rng))
