import numpy as np
import pytest

from training.augment import (
    MAX_LOSS,
    MIN_SPEECH_S,
    face_crop,
    first_window,
    interrupt,
    jitter,
    light_and_colour,
    lose_packets,
    voice_window,
)
from training.people import draw_person
from training.recipe import AugmentRecipe
from training.voice_synthesis import speak
from vfd.types import FACE_SIZE_PX, SAMPLE_RATE_HZ, WINDOW_SAMPLES, Audio, Rgb

NOTHING = AugmentRecipe()


@pytest.fixture(scope="module")
def speech() -> Audio:
    """Four seconds."""
    return speak(draw_person(1).voice, 4.0, np.random.default_rng(0)).audio


def picture() -> Rgb:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
    return np.asarray(np.kron(small, np.ones((16, 16, 1), dtype=np.uint8)), dtype=np.uint8)


def test_an_unchanged_window_is_a_piece_of_the_clip(speech: Audio) -> None:
    window = voice_window(speech, NOTHING, np.random.default_rng(1))
    assert window.shape == (WINDOW_SAMPLES,)
    assert window.dtype == np.float32
    pieces = np.lib.stride_tricks.sliding_window_view(speech, WINDOW_SAMPLES)
    assert any(piece[0] == window[0] and (piece == window).all() for piece in pieces)
    starts = {
        voice_window(speech, NOTHING, np.random.default_rng(k))[:9].tobytes() for k in range(9)
    }
    assert len(starts) > 1


def test_a_short_clip_is_repeated() -> None:
    ramp = np.linspace(0, 1, 20_000, dtype=np.float32)
    window = first_window(ramp)
    np.testing.assert_array_equal(window[20_000:40_000], ramp)
    np.testing.assert_array_equal(window, voice_window(ramp, NOTHING, np.random.default_rng(0)))


def test_an_interruption_is_one_pause_at_an_end_or_in_the_middle() -> None:
    whole = np.ones(WINDOW_SAMPLES, dtype=np.float32)
    within = 0
    for seed in range(40):
        interrupted = interrupt(whole, np.random.default_rng(seed))
        assert interrupted.dtype == np.float32
        assert interrupted.sum() >= MIN_SPEECH_S * SAMPLE_RATE_HZ - 1
        assert np.count_nonzero(np.diff(interrupted)) <= 2
        within += bool(interrupted[0] and interrupted[-1])
    assert 0 < within < 40


def test_some_windows_are_interrupted() -> None:
    whole = np.ones(4 * SAMPLE_RATE_HZ, dtype=np.float32)
    rngs = [np.random.default_rng(k) for k in range(40)]
    windows = [voice_window(whole, AugmentRecipe(short_speech=0.5), rng) for rng in rngs]
    assert 10 < sum(not window.all() for window in windows) < 30


def test_lost_packets_are_holes_of_whole_packets_at_a_bounded_rate(speech: Audio) -> None:
    shares = []
    for seed in range(40):
        holed = lose_packets(speech[:WINDOW_SAMPLES], np.random.default_rng(seed))
        packets, sent = holed.reshape(-1, 320), speech[:WINDOW_SAMPLES].reshape(-1, 320)
        lost = ~packets.any(axis=1)
        np.testing.assert_array_equal(packets[~lost], sent[~lost])
        shares.append(lost.mean())
    assert 0.05 < np.mean(shares) < MAX_LOSS


def test_a_crop_moves_by_whole_pixels_without_zoom() -> None:
    crop = picture()
    rng = np.random.default_rng(3)
    right, down = np.random.default_rng(3).integers(-6, 7, 2)
    moved = jitter(crop, 6, 0.0, rng)
    inner = slice(20, FACE_SIZE_PX - 20)
    expected = np.roll(crop, (down, right), (0, 1))
    np.testing.assert_array_equal(moved[inner, inner], expected[inner, inner])


def test_a_mirrored_crop_and_one_left_alone() -> None:
    crop = picture()
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(face_crop(crop, AugmentRecipe(flip=1.0), rng), crop[:, ::-1])
    np.testing.assert_array_equal(face_crop(crop, NOTHING, rng), crop)


def test_light_changes_levels_not_places() -> None:
    crop = picture()
    changed = light_and_colour(crop, np.random.default_rng(7))
    assert changed.shape == crop.shape
    assert 3 < np.abs(changed.astype(int) - crop).mean() < 70
    for channel in range(3):
        levels: dict[int, set[int]] = {}
        for before, after in zip(crop[..., channel].flat, changed[..., channel].flat, strict=True):
            levels.setdefault(int(before), set()).add(int(after))
        assert all(len(after) == 1 for after in levels.values())
