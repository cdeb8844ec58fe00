"""DFDC in miniature, with the traps of the published files."""

import json
from pathlib import Path

import pytest

from tests.datasets import clips, dropped, hears_and_sees
from tests.talking_files import talking
from training.drops import Drop
from training.readers.dfdc import read_dfdc

METADATA = {
    "real1.mp4": {"label": "REAL", "split": "train", "original": None},
    "fake1.mp4": {"label": "FAKE", "split": "train", "original": "real1.mp4"},
    "fake2.mp4": {"label": "FAKE", "split": "train", "original": "gone.mp4"},
    "lost.mp4": {"label": "REAL", "split": "train", "original": None},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    part = tmp_path / "dfdc_train_part_0"
    for name in ("real1.mp4", "fake1.mp4", "fake2.mp4"):
        talking(part / name, seconds=1.2)
    (part / "metadata.json").write_text(json.dumps(METADATA))
    return tmp_path


def test_fakes_belong_to_their_originals(root: Path) -> None:
    found = read_dfdc(root)
    assert {n: (c.identity, c.fake, c.voice_fake) for n, c in clips(found).items()} == {
        "real1.mp4": ("real1", False, False),
        "fake1.mp4": ("real1", True, None),
        "fake2.mp4": ("gone", True, None),
    }
    assert dropped(found) == [("lost.mp4", Drop.MISSING_FILE)]
    hears_and_sees(found)


def test_a_part_by_itself_and_an_allow_list(root: Path, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed.txt"
    allowed.write_text("real1.mp4\n\nfake2.mp4\n")
    found = read_dfdc(root / "dfdc_train_part_0", allowed)
    assert sorted(clips(found)) == ["fake2.mp4", "real1.mp4"]
    assert ("fake1.mp4", Drop.NOT_ALLOWED) in dropped(found)
    allowed.write_text("real9.mp4\n")
    with pytest.raises(ValueError, match=r"no clip is called 'real9\.mp4'"):
        read_dfdc(root, allowed)


def test_metadata_that_say_nothing_are_refused(root: Path) -> None:
    path = root / "dfdc_train_part_0" / "metadata.json"
    path.write_text(json.dumps({"a.mp4": {"label": "fake"}}))
    with pytest.raises(ValueError, match=r"label of a\.mp4 is 'fake'"):
        read_dfdc(root)
    path.write_text(json.dumps({"a.mp4": {"label": "FAKE", "original": None}}))
    with pytest.raises(ValueError, match="without an original"):
        read_dfdc(root)
    for text in ('["a.mp4"]', '{"a.mp4": "REAL"}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"metadata\.json: is not of the form"):
            read_dfdc(root)
    path.write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        read_dfdc(root)
