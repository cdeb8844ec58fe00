"""Statistics by hand, and recovered from streams of scores whose truth is known."""

import numpy as np
import pytest

from vfd.calibration import ScoredWindows, fit_calibration, scored_windows, spread


def simulated(
    people: int, windows: int, between: float, within: float, correlation: float, seed: int = 0
) -> ScoredWindows:
    """Genuine streams about 0.5 and swapped ones about 0, first-order autoregressive."""
    rng = np.random.default_rng(seed)
    noise = np.empty((2 * people, windows))
    noise[:, 0] = rng.standard_normal(2 * people)
    for t in range(1, windows):
        fresh = rng.standard_normal(2 * people) * np.sqrt(1 - correlation**2)
        noise[:, t] = correlation * noise[:, t - 1] + fresh
    level = np.repeat([0.5, 0.0], people) + between * rng.standard_normal(2 * people)
    voice = np.tile(np.arange(people), 2).astype(str)
    face = np.concatenate([voice[:people], np.roll(voice[:people], 1)])
    real = np.arange(2 * people) < people
    stream = np.arange(2 * people).astype(str)
    columns = [np.repeat(column, windows) for column in (real, voice, face, stream)]
    time_s = np.tile(np.arange(windows, dtype=float), 2 * people)
    return ScoredWindows((level[:, None] + within * noise).ravel(), *columns, time_s)


def test_by_hand() -> None:
    # ann 0.6 and 0.4, bob 0.9 and 0.7; the one swapped pair scores 0.1 twice
    scores = [0.6, 0.4, 0.9, 0.7, 0.1, 0.1]
    voices, faces = ["ann", "ann", "bob", "bob", "ann", "ann"], ["ann"] * 2 + ["bob"] * 4
    calibration = fit_calibration(scored_windows(scores, voices, faces))
    assert calibration.threshold == pytest.approx(0.25)  # midway between 0.1 and 0.4
    assert calibration.real_mean == pytest.approx(0.65)
    assert calibration.real_std_within == pytest.approx(np.sqrt(0.02))  # two of 0.1^2 + 0.1^2, n-1
    assert calibration.real_std_between == pytest.approx(np.sqrt(0.15**2 - 0.02 / 2))
    assert calibration.fake_mean == pytest.approx(0.1)
    assert calibration.fake_std_between == calibration.fake_std_within == 0
    assert calibration.autocorrelation == 0.6  # no stream: what a file without it means


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.8])
def test_what_streams_were_made_of_is_found_again(correlation: float) -> None:
    windows = simulated(400, 40, between=0.1, within=0.2, correlation=correlation)
    found = spread(windows, windows.real)
    assert found.mean == pytest.approx(0.5, abs=0.02)
    assert found.between == pytest.approx(0.1, abs=0.02)
    assert found.within == pytest.approx(0.2, rel=0.06)
    assert found.autocorrelation == pytest.approx(correlation, abs=0.04)


def test_noise_that_passes_for_differences_between_people_is_taken_off() -> None:
    windows = simulated(300, 20, between=0.0, within=0.3, correlation=0.6)
    means = windows.score[windows.real].reshape(300, 20).mean(axis=1)
    assert means.std() > 0.1
    assert spread(windows, windows.real).between < 0.05


def test_gaps_and_other_streams_tell_nothing_of_the_autocorrelation() -> None:
    windows = simulated(200, 20, 0.1, 0.2, 0.6)
    late = np.where(windows.time_s % 2 == 1, windows.time_s + 0.5, windows.time_s)
    gappy = ScoredWindows(
        windows.score, windows.real, windows.voice_id, windows.face_id, windows.stream, late
    )
    assert spread(gappy, gappy.real).autocorrelation is None


def test_rows_may_come_in_any_order() -> None:
    windows = simulated(60, 12, 0.1, 0.2, 0.6)
    order = np.random.default_rng(1).permutation(len(windows.score))
    shuffled = ScoredWindows(*(getattr(windows, name)[order] for name in windows.__slots__))
    first, second = fit_calibration(windows), fit_calibration(shuffled)
    for name in first.__slots__:
        assert getattr(first, name) == pytest.approx(getattr(second, name)), name


def test_single_windows_of_people_count_as_differences_between_them() -> None:
    found = fit_calibration(scored_windows([0.2, 0.6, 0.0], ["a", "b", "a"], ["a", "b", "b"]))
    assert found.real_std_between == pytest.approx(0.2)
    assert found.real_std_within == 0


def test_a_label_wins_over_the_identities() -> None:
    """A cloned voice of the same person is a fake of one identity."""
    found = fit_calibration(scored_windows([0.8, 0.1], ["a", "a"], ["a", "a"], [True, False]))
    assert (found.real_mean, found.fake_mean) == (0.8, 0.1)


@pytest.mark.parametrize(
    ("scores", "ids", "message"),
    [([0.1, 0.2], ["a", "b"], "real and of fake"), ([np.nan, 0.2], ["a", "b"], "NaN")],
)
def test_scores_that_say_nothing_are_refused(
    scores: list[float], ids: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        scored_windows(scores, ids, ids)
    with pytest.raises(ValueError, match="different lengths"):
        scored_windows([0.1], ["a", "b"], ["a", "b"], [True, False])
