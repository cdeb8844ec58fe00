import numpy as np
import pytest

from training.degrade import CALL, TRAINING, Line, film, say
from training.people import draw_person

PERSON = draw_person(7)


@pytest.mark.parametrize("line", [CALL, TRAINING])
def test_a_picture_arrives_whole_and_repeatable(line: Line) -> None:
    picture = film(PERSON.face, line, np.random.default_rng(1))
    assert picture.shape == (360, 640, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 10  # not a grey hole
    np.testing.assert_array_equal(picture, film(PERSON.face, line, np.random.default_rng(1)))


def test_fewer_bits_lose_more_of_a_picture() -> None:
    poor = Line((60_000, 60_000), (16_000, 16_000), pictures=1, complexity=0)
    rich = Line((8_000_000, 8_000_000), (16_000, 16_000), pictures=1, complexity=0)
    kept = [film(PERSON.face, line, np.random.default_rng(3)) for line in (poor, rich)]
    edges = [np.abs(np.diff(k.astype(int), axis=1)).mean() for k in kept]
    assert edges[0] < 0.9 * edges[1]


def test_a_voice_arrives_at_its_length_and_repeatable() -> None:
    sound = say(PERSON.voice, 1.5, CALL, np.random.default_rng(2))
    assert sound.shape == (24_000,)
    assert sound.dtype == np.float32
    assert 0.005 < np.sqrt(np.mean(sound**2)) < 0.5
    np.testing.assert_array_equal(sound, say(PERSON.voice, 1.5, CALL, np.random.default_rng(2)))
