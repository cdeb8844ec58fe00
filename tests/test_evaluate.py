import numpy as np
import pytest

from training.baseline import mean_colour, median_pitch
from training.evaluate import draw_pairs, measure, pair_scores
from training.scores import Embedded, calibrate, similarities

PEOPLE, CLIPS, CROPS = 40, 2, 3


def embedded(noise: float) -> Embedded:
    """Voices and faces that are a person's own direction and noise."""
    rng = np.random.default_rng(0)
    own = rng.standard_normal((PEOPLE, 1, 16))

    def near(count: int) -> np.ndarray:  # type: ignore[type-arg]
        vectors = own + noise * rng.standard_normal((PEOPLE, count, 16))
        unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
        return np.asarray(unit, dtype=np.float32)

    return Embedded(near(CLIPS), near(CROPS), np.arange(PEOPLE) % 2 == 0)


def test_pairs_are_balanced_over_people_and_stay_in_range() -> None:
    pairs = draw_pairs(PEOPLE, CLIPS, CROPS, seed=1)
    assert pairs.matched.sum() == PEOPLE * CLIPS
    swapped = pairs.voice[~pairs.matched]
    assert set(np.bincount(swapped)) == {PEOPLE - 1}
    assert pairs.clip.max() == CLIPS - 1
    assert pairs.crop.max() == CROPS - 1


def test_good_embeddings_measure_well_and_noise_measures_a_half() -> None:
    pairs = draw_pairs(PEOPLE, CLIPS, CROPS, seed=1)
    male = np.arange(PEOPLE) % 2 == 0
    good = measure(pair_scores(embedded(0.3), pairs), pairs, male)
    assert good.overall.value > 0.99
    assert good.overall.low <= good.overall.value <= good.overall.high
    noise = np.random.default_rng(1).standard_normal(len(pairs.voice))
    poor = measure(noise, pairs, male)
    assert poor.overall.low < 0.5 < poor.overall.high
    assert poor.within_sex.low < 0.5 < poor.within_sex.high


def test_pair_scores_are_the_cosines_of_the_named_clip_and_crop() -> None:
    vectors = embedded(0.5)
    pairs = draw_pairs(PEOPLE, CLIPS, CROPS, seed=2)
    table = similarities(vectors)
    expected = table[pairs.voice, pairs.face, pairs.clip, pairs.crop]
    np.testing.assert_allclose(pair_scores(vectors, pairs), expected, atol=1e-6)


def test_calibration_separates_what_can_be_separated() -> None:
    scores = np.full((3, 3, 2, 2), -0.5, dtype=np.float32)
    for person, mean in enumerate((0.4, 0.5, 0.6)):
        scores[person, person] = [[mean - 0.1, mean + 0.1]] * 2
    calibration = calibrate(scores)
    assert calibration.threshold == pytest.approx(-0.1)
    assert calibration.real_mean == pytest.approx(0.5)
    assert calibration.real_std_between == pytest.approx(np.std([0.4, 0.5, 0.6]), abs=1e-6)
    assert calibration.real_std_within == pytest.approx(0.1, abs=1e-6)
    assert calibration.fake_mean == pytest.approx(-0.5)
    assert calibration.fake_std_between == calibration.fake_std_within == 0.0


@pytest.mark.parametrize("pitch_hz", [90.0, 120.0, 220.0])
def test_the_baseline_hears_pitch(pitch_hz: float) -> None:
    time_s = np.arange(48_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * k * pitch_hz * time_s) / k for k in range(1, 6))
    audio = (0.1 * np.asarray(buzz)).astype(np.float32)
    assert np.exp(median_pitch(audio)) == pytest.approx(pitch_hz, rel=0.03)


def test_the_baseline_answers_for_noise_and_silence() -> None:
    noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    for audio in (noise, np.zeros(48_000, np.float32)):
        assert 60 <= np.exp(median_pitch(audio)) <= 400


def test_the_baseline_sees_colour() -> None:
    crop = np.zeros((224, 224, 3), np.uint8)
    crop[..., 0] = 255
    np.testing.assert_allclose(mean_colour(crop), [1, 0, 0])
