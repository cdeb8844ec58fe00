import threading
from contextlib import closing
from pathlib import Path

import pytest

from monitor import read_ahead
from monitor.media_open import MediaError
from monitor.media_tracks import Picture
from monitor.read_ahead import ReadAhead
from tests.recordings import call, reasons, watched


def test_looping_joins_the_rounds(tmp_path: Path) -> None:
    outcome = watched(call(tmp_path / "a.mkv", 3.0), loop_s=10.0)
    assert len(outcome.hops) == 10
    assert reasons(outcome.hops)[2:] == [None] * 8


def test_a_reader_that_is_closed_early_ends_its_thread(tmp_path: Path) -> None:
    media = ReadAhead(str(call(tmp_path / "a.mkv", 30.0, None)), 0.5, loop_s=1e6)
    media.open()
    next(iter(media))
    media.close()
    assert not any(thread.name == "media reader" for thread in threading.enumerate())


def test_opening_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Hanging:
        def __init__(self, location: str, picture_interval_s: float, *, followed: bool) -> None:
            released.wait(10)
            raise MediaError(location, "too late")

    monkeypatch.setattr(read_ahead, "FileSource", Hanging)
    monkeypatch.setattr(read_ahead, "OPEN_PATIENCE_S", 0.3)
    media = ReadAhead("rtmp://nowhere/live", 0.5)
    with pytest.raises(MediaError, match="rtmp://nowhere/live: no answer within"):
        media.open()
    released.set()
    media.close()


@pytest.mark.parametrize("closely", [False, True])
def test_mouths_are_watched_where_that_is_wanted(tmp_path: Path, closely: bool) -> None:
    path = str(call(tmp_path / "a.mkv", 1.0))
    with closing(ReadAhead(path, 0.5, loop_s=2.0, closely=closely)) as media:
        media.open()
        pictures = [item for item in media if isinstance(item, Picture)]
    assert len(pictures) == 20
    assert sum(picture.lips is not None for picture in pictures) == (20 if closely else 0)
