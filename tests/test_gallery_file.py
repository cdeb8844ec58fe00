"""Mixed streams as files, and who is in them."""

from pathlib import Path

import numpy as np
import pytest

from monitor.file_source import FileSource
from monitor.media_tracks import Picture, Sound
from training.gallery import compose
from training.gallery_file import cast_of, main, write_gallery


def test_a_file_is_the_stream(tmp_path: Path) -> None:
    shown, voices = cast_of(2, 1)
    gallery = compose(shown, 1, 5, fps=4, voices=[person.voice for person in voices])
    source = FileSource(str(write_gallery(gallery, tmp_path / "a.mkv")), 0.25)
    items = list(source)
    source.close()
    pictures = [item for item in items if isinstance(item, Picture)]
    assert source.decode_errors == 0
    for (time_s, rgb), picture in zip(gallery.pictures(), pictures, strict=True):
        assert picture.time_s == pytest.approx(time_s, abs=1e-3)
        assert picture.rgb is not None
        assert np.abs(picture.rgb.astype(int) - rgb).mean() < 2
    sound = np.concatenate([item.samples for item in items if isinstance(item, Sound)])
    assert np.abs(sound[: len(gallery.audio)] - gallery.audio).max() < 1e-3


def test_a_swap_is_of_one_voice() -> None:
    shown, voices = cast_of(4, 2, swapped=3)
    assert [a is b for a, b in zip(shown, voices, strict=True)] == [True, True, False, True]
    assert voices[2].voice not in [person.voice for person in shown]


def test_nobody_is_in_two_streams() -> None:
    people = [person.face for seed in (1, 2) for person in cast_of(4, seed, 1)[0]]
    assert len({id(face) for face in people}) == 8
    assert all(a != b for k, a in enumerate(people) for b in people[:k])


def test_the_command_writes_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mkv"
    main([str(path), "--people", "1", "--seconds", "1", "--swapped", "1"])
    assert path.stat().st_size > 10_000
    with pytest.raises(SystemExit):
        main([str(path), "--people", "2", "--swapped", "3"])
    assert "--swapped must be 1 to 2, not 3" in capsys.readouterr().err
