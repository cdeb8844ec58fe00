"""The table of front ends: what it names is what it says it is."""

import numpy as np

from vfd.front_ends import FRONT_ENDS
from vfd.mel import mel128
from vfd.spectrogram import stft512


def test_the_names_stand_for_these_functions() -> None:
    assert {name: front_end.compute for name, front_end in FRONT_ENDS.items()} == {
        "stft512": stft512,
        "mel128": mel128,
    }


def test_every_front_end_gives_its_shape() -> None:
    audio = np.random.default_rng(0).standard_normal(48_000).astype(np.float32) * 0.1
    for front_end in FRONT_ENDS.values():
        picture = front_end.compute(audio)
        assert picture.shape == (1, *front_end.shape)
        assert picture.dtype == np.float32
        assert picture.flags.c_contiguous


def test_every_front_end_writes_where_it_is_told_to() -> None:
    rng = np.random.default_rng(0)
    for audio in (rng.standard_normal(48_000).astype(np.float32), np.zeros(48_000, np.float32)):
        for front_end in FRONT_ENDS.values():
            out = np.full((1, *front_end.shape), np.nan, np.float32)
            assert front_end.compute(audio, out) is out
            np.testing.assert_array_equal(out, front_end.compute(audio))
