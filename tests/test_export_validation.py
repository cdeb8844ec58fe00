"""The file by which engines are judged."""

from pathlib import Path

import numpy as np

from tests.shards import finished, shade, tone, written
from training.clips import RECORDED, Split
from training.export_validation import export_validation


def test_real_clips_are_exported_as_a_call_sends_them(tmp_path: Path) -> None:
    written(tmp_path / "data", clips=5, split=Split.VALIDATION, lines=(RECORDED, "call"))
    out = tmp_path / "people.npz"
    data = finished(tmp_path / "data")
    assert export_validation(data, out, Split.VALIDATION, people=1) == 1
    assert export_validation(data, out, Split.VALIDATION) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "people.npz"]
    with np.load(out) as arrays:
        assert arrays["voice_ids"].tolist() == [0, 1, 0, 0]  # the fourth clip is a fake
        assert arrays["face_ids"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
        np.testing.assert_allclose(
            arrays["windows"][1, :24_000] / 32_767, tone(1, variant=1), atol=1e-4
        )
        np.testing.assert_array_equal(arrays["windows"][1, 24_000:], arrays["windows"][1, :24_000])
        assert np.abs(arrays["crops"][3].astype(int) - shade(1, 1, variant=1)).max() < 6
        assert {name: arrays[name].dtype for name in arrays} == {
            "windows": np.int16,
            "voice_ids": np.int64,
            "crops": np.uint8,
            "face_ids": np.int64,
        }
