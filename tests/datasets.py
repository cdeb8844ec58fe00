"""What the tests of the readers look at in a data set."""

from training.clips import Clip
from training.dataset import Dataset
from training.drops import Drop
from training.media import FileMedia


def clips(dataset: Dataset) -> dict[str, Clip]:
    return {entry.clip.clip: entry.clip for entry in dataset.entries}


def files(dataset: Dataset) -> dict[str, FileMedia]:
    media = {entry.clip.clip: entry.media for entry in dataset.entries}
    assert all(isinstance(m, FileMedia) for m in media.values())
    return media  # type: ignore[return-value]


def dropped(dataset: Dataset) -> list[tuple[str, Drop]]:
    return [(d.clip, d.reason) for d in dataset.dropped]


def hears_and_sees(dataset: Dataset) -> None:
    for entry in dataset.entries:
        assert len(entry.media.sound(1.0)) == 16_000
        look = next(iter(entry.media.looks((0.5,), 1)))
        assert look.run()[0].shape == (360, 640, 3)
