"""Whether the one mouth in the picture moves with the voice."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.test_active_speaker import FPS, TIMES_S, syllables, voice
from vfd.lips import MIN_MOTION, move_with
from vfd.types import WINDOW_S

NOISE = 0.004
TURN = 100  # hundredths of a second


def mouth(
    curve: NDArray[np.float64], opens_by: float = 0.2, times_s: NDArray[np.float64] = TIMES_S
) -> NDArray[np.float64]:
    """A mouth that follows `curve`, seen at `times_s`."""
    shown = 0.1 + opens_by * curve[(times_s * TURN).astype(int)]
    noise = np.random.default_rng(0).normal(0, NOISE, len(times_s))
    return np.column_stack([times_s, shown + noise])


@pytest.mark.parametrize("seed", range(5))
def test_a_mouth_that_moves_with_the_voice_speaks(seed: int) -> None:
    assert move_with(mouth(syllables(seed)), voice(syllables(seed))) is True


def test_mouths_that_move_to_other_words_do_not() -> None:
    found = [move_with(mouth(syllables(k)), voice(syllables(100 + k))) for k in range(20)]
    assert found.count(False) >= 13
    assert found.count(True) <= 1


@pytest.mark.parametrize("late", [36, 20, -20])  # hundredths of a second
def test_lips_that_are_late_still_move_with_the_voice(late: int) -> None:
    curve = syllables(2)
    assert move_with(mouth(np.roll(curve, late)), voice(curve)) is True


@pytest.mark.parametrize("seed", range(5))
def test_a_shut_mouth_does_not_whatever_its_noise_agrees_with(seed: int) -> None:
    shut = mouth(syllables(seed), opens_by=0.0)
    assert shut[:, 1].std() < MIN_MOTION
    assert move_with(shut, voice(syllables(seed))) is False
    barely = mouth(syllables(seed), opens_by=0.03)
    assert barely[:, 1].std() < MIN_MOTION
    assert move_with(barely, voice(syllables(seed))) is None  # it agrees, but with so little


def test_the_middle_of_a_window_suffices_and_less_does_not() -> None:
    curve = syllables(1)
    fast_s = np.arange(0, WINDOW_S, 1 / (FPS + 3))
    middle = (fast_s > 0.65) & (fast_s < 2.35)
    assert move_with(mouth(curve, times_s=fast_s[middle]), voice(curve)) is True
    late = fast_s > 0.8
    assert move_with(mouth(curve, times_s=fast_s[late]), voice(curve)) is None
    assert move_with(mouth(curve, times_s=fast_s[::3]), voice(curve)) is None
    assert move_with(np.empty((0, 2)), voice(curve)) is None
