"""The inputs by which engines are judged: what is packaged, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from checkpoints import TINY, TINY_RELEASED
from validation_files import write_samples

from engines.engine import EngineError
from engines.samples import in_batches, load_samples, packaged_samples
from vfd.speech import speech_share


def test_the_packaged_people_speak_and_show_faces() -> None:
    samples = load_samples(packaged_samples())
    assert samples.windows.shape == (8, 48_000)
    assert samples.crops.shape == (8, 224, 224, 3)
    assert sorted(samples.voice_ids) == sorted(samples.face_ids) == [0, 0, 1, 1, 2, 2, 3, 3]
    sound = samples.windows.astype(np.float32) / 32_768
    assert min(speech_share(window) for window in sound) > 0.5
    assert samples.crops.std(axis=(1, 2, 3)).min() > 15


def test_sound_becomes_what_the_front_end_of_the_model_makes_of_it(tmp_path: Path) -> None:
    samples = load_samples(write_samples(tmp_path / "a.npz", 2))
    assert samples.spectrograms(TINY).shape == (2, 1, 512, 300)
    assert samples.spectrograms(TINY_RELEASED).shape == (2, 1, 128, 256)


def test_batches_are_cut_and_joined() -> None:
    rows = np.arange(10, dtype=np.float32)[:, np.newaxis]
    sizes = []

    def embed(part: np.ndarray) -> np.ndarray:
        sizes.append(len(part))
        return part * 2

    np.testing.assert_array_equal(in_batches(embed, rows, 4), rows * 2)
    assert sizes == [4, 4, 2]


def test_a_missing_or_torn_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"none\.npz: there is no such file"):
        load_samples(tmp_path / "none.npz")
    whole = write_samples(tmp_path / "whole.npz", 1).read_bytes()
    for name, content in (("half", whole[: len(whole) // 2]), ("text", b"hello"), ("empty", b"")):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(EngineError, match=rf"{name}\.npz: is no file of validation inputs"):
            load_samples(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"windows": np.zeros((2, 16_000), np.int16)}, r"windows are \(2, 16000\) int16"),
        ({"windows": np.zeros((2, 48_000), np.float32)}, "windows are .* float32"),
        ({"face_ids": np.arange(3)}, "2 crops but 3 face_ids"),
        ({"crops": np.zeros((0, 224, 224, 3), np.uint8)}, "0 crops but 2 face_ids"),
        ({"crops": np.array([object()])}, "is no file of validation inputs"),
    ],
)
def test_arrays_that_do_not_fit_are_named(
    tmp_path: Path, changed: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        load_samples(write_samples(tmp_path / "a.npz", 2, **changed))
