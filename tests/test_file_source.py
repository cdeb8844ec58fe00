import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from monitor import media_open
from monitor.file_source import FileSource
from monitor.media_open import MediaError
from monitor.media_tracks import MAX_SIDE_PX, Item, Picture, Sound
from tests.fakes import voice
from tests.media_files import AAC, OPUS, PCM_8K, TELEPHONE, SoundForm, encode, grey
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb


def read(path: Path | str, interval_s: float = 0.5) -> tuple[list[Item], FileSource]:
    source = FileSource(str(path), interval_s)
    try:
        items = list(source)
    finally:
        source.close()
    times = [item.time_s for item in items]
    assert times == sorted(times)
    assert not times or times[0] >= 0
    return items, source


def sounds(items: list[Item]) -> list[Sound]:
    return [item for item in items if isinstance(item, Sound)]


def pictures(items: list[Item]) -> list[Picture]:
    return [item for item in items if isinstance(item, Picture)]


def laid_out(items: list[Item]) -> Audio:
    """All sound at its place; what nobody wrote is NaN."""
    placed = np.full(round(max(s.end_s for s in sounds(items)) * SAMPLE_RATE_HZ) + 1, np.nan)
    for item in sounds(items):
        start = round(item.time_s * SAMPLE_RATE_HZ)
        placed[start : start + len(item.samples)] = item.samples
    return placed.astype(np.float32)


def correlation(a: Audio, b: Audio) -> float:
    size = min(len(a), len(b))
    return float(np.corrcoef(np.nan_to_num(a[:size]), b[:size])[0, 1])


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("stereo.mp4", AAC),
        ("mono.mp4", SoundForm("aac", 48_000, "mono")),
        ("opus.mkv", OPUS),
        ("telephone.wav", TELEPHONE),
        ("surround.mkv", SoundForm("flac", 48_000, "5.1")),
    ],
)
def test_sound_of_any_form_becomes_16_khz_mono_in_its_place(
    tmp_path: Path, name: str, form: SoundForm
) -> None:
    said = voice(2.0)
    items, source = read(encode(tmp_path / name, sound=said, form=form))
    heard = laid_out(items)
    assert not pictures(items)
    assert source.decode_errors == 0
    assert all(s.samples.dtype == np.float32 for s in sounds(items))
    assert len(heard) == pytest.approx(len(said), abs=0.1 * SAMPLE_RATE_HZ)
    assert np.count_nonzero(np.isnan(heard[: len(said) - 400])) == 0
    assert correlation(heard, said) > 0.9
    assert np.nanmax(np.abs(heard)) <= 1.0


def test_only_one_picture_in_an_interval_is_converted(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", picture=lambda t: grey(round(100 + 20 * t)), picture_s=3.0)
    items, source = read(path, interval_s=0.5)
    seen = pictures(items)
    assert len(seen) == 30
    converted = [p for p in seen if p.rgb is not None]
    assert [p.time_s for p in converted] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5], abs=1e-6)
    assert source.duration_s == pytest.approx(3.0, abs=0.05)
    for p in converted:
        assert p.rgb is not None
        assert p.rgb.shape == (48, 64, 3)
        assert p.rgb.dtype == np.uint8
        assert p.rgb.mean() == pytest.approx(100 + 20 * p.time_s, abs=4)


def corner(rgb: Rgb) -> tuple[int, int]:
    """Where the white corner of `marked` is, as (row half, column half)."""
    h, w = rgb.shape[0] // 2, rgb.shape[1] // 2
    means = [[rgb[r * h : r * h + h, c * w : c * w + w].mean() for c in (0, 1)] for r in (0, 1)]
    row, column = np.unravel_index(np.argmax(means), (2, 2))
    return int(row), int(column)


def marked(_: float) -> Rgb:
    rgb = grey(20, width=64, height=32)
    rgb[:16, :32] = 230
    return rgb


# FFmpeg's own player, told to turn pictures upright, puts the corner there.
@pytest.mark.parametrize(
    ("rotation", "shape", "where"),
    [
        (0, (32, 64, 3), (0, 0)),
        (90, (64, 32, 3), (1, 0)),
        (-90, (64, 32, 3), (0, 1)),
        (180, (32, 64, 3), (1, 1)),
    ],
)
def test_a_phone_held_sideways_gives_upright_pictures(
    tmp_path: Path, rotation: int, shape: tuple[int, int, int], where: tuple[int, int]
) -> None:
    path = encode(tmp_path / "a.mp4", picture=marked, picture_s=0.3, rotation=rotation)
    rgb = pictures(read(path)[0])[0].rgb
    assert rgb is not None
    assert rgb.shape == shape
    assert corner(rgb) == where
    assert rgb.flags.c_contiguous


def test_4k_stays_whole_and_tiny_stays_tiny(tmp_path: Path) -> None:
    for width, height in ((3840, 2160), (16, 16)):
        assert max(width, height) <= MAX_SIDE_PX
        path = tmp_path / f"{width}.mp4"
        encode(path, picture=lambda _, w=width, h=height: grey(90, w, h), picture_s=0.2)
        rgb = pictures(read(path)[0])[0].rgb
        assert rgb is not None
        assert rgb.shape == (height, width, 3)


def test_tracks_that_lie_apart_in_the_file_come_in_the_order_of_time(tmp_path: Path) -> None:
    """The muxer gives up waiting for the other track after 10 s and writes the video first."""
    path = encode(
        tmp_path / "a.mkv", picture=lambda _: grey(90), picture_s=20.0, sound=voice(20.0), form=OPUS
    )
    items, _ = read(path)
    assert len(pictures(items)) == 200
    assert sounds(items)[-1].end_s == pytest.approx(20.0, abs=0.1)
    for start in range(0, len(items) - 100, 100):
        kinds = [type(item) for item in items[start : start + 100]]
        assert min(kinds.count(Picture), kinds.count(Sound)) > 10


def test_the_tracks_of_one_stream_come_in_the_order_of_time(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "a.mkv", picture=lambda _: grey(90), picture_s=6.0, sound=voice(6.0), form=OPUS
    )
    from_file, _ = read(path)
    from_url, source = read(f"file://{path}")
    assert [i.time_s for i in from_url] == pytest.approx([i.time_s for i in from_file])
    assert source.broke_off == ""


def test_a_late_start_of_the_sound_is_kept(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "a.mkv",
        picture=lambda _: grey(90),
        picture_s=3.0,
        sound=voice(2.0),
        form=OPUS,
        sound_at_s=0.8,
    )
    items, _ = read(path)
    assert pictures(items)[0].time_s == pytest.approx(0.0, abs=0.02)
    assert sounds(items)[0].time_s == pytest.approx(0.8, abs=0.02)


def test_a_hole_in_the_timestamps_stays_a_hole(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", sound=voice(3.0), form=PCM_8K, hole=(1.0, 1.6))
    missing = np.isnan(laid_out(read(path)[0]))
    hole = np.flatnonzero(missing[: round(2.9 * SAMPLE_RATE_HZ)]) / SAMPLE_RATE_HZ
    assert hole.min() == pytest.approx(1.0, abs=0.03)
    assert hole.max() == pytest.approx(1.6, abs=0.03)
    assert len(hole) / SAMPLE_RATE_HZ == pytest.approx(0.6, abs=0.02)


def test_timestamps_that_start_again_continue_the_media(tmp_path: Path) -> None:
    """Two transport streams pasted together, as a restarted encoder leaves them."""
    part = encode(
        tmp_path / "part.ts",
        picture=lambda _: grey(90),
        picture_s=4.0,
        sound=voice(4.0),
        form=SoundForm("mp2", 48_000, "mono"),
    )
    both = tmp_path / "both.ts"
    both.write_bytes(part.read_bytes() * 2)
    items, _ = read(both)
    assert max(p.time_s for p in pictures(items)) == pytest.approx(7.9, abs=0.3)
    assert max(s.end_s for s in sounds(items)) == pytest.approx(8.0, abs=0.3)


def test_a_damaged_middle_is_counted_and_skipped(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", picture=marked, picture_s=4.0, sound=voice(4.0), form=AAC)
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, len(data), dtype=np.uint8)
    third = len(data) // 3
    data[third : third + third // 2] = noise[third : third + third // 2].tobytes()
    path.write_bytes(data)
    items, source = read(path)
    assert source.decode_errors > 0
    assert max(item.time_s for item in items) > 3.5
    assert len(sounds(items)) > 50


def test_a_file_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", sound=voice(4.0), form=OPUS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 1.0 < sounds(read(path)[0])[-1].end_s < 3.5


def test_a_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(tmp_path / "call.mkv", sound=voice(0.5), form=OPUS)
    os.rename(tmp_path / "call.mkv", tmp_path / "http:call.mkv")
    monkeypatch.chdir(tmp_path)
    assert sounds(read("http:call.mkv")[0])


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    song = encode(tmp_path / "a.mp4", sound=voice(1.0))
    with av.open(str(song)) as source, av.open(str(path), "w") as target:
        sound = target.add_stream_from_template(source.streams.audio[0])
        cover = target.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 32, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        target.mux(cover.encode(av.VideoFrame.from_ndarray(marked(0.0), format="rgb24")))
        target.mux(cover.encode(None))
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = sound
                target.mux(packet)
    items, _ = read(path)
    assert sounds(items)
    assert not pictures(items)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.mp4", None, "No such file"),
        ("empty.mp4", b"", "not media"),
        ("noise.mp4", bytes(range(256)) * 40, "not media"),
        ("notes.txt", b"These are the minutes of our meeting.\n" * 50, "text file"),
        ("sub.srt", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 9, "neither sound nor video"),
    ],
)
def test_what_is_no_media_is_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=message) as raised:
        FileSource(str(path), 0.5)
    assert str(path) in str(raised.value)


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="Is a directory"):
        FileSource(str(tmp_path), 0.5)


def test_an_mp4_without_its_index_is_named(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", sound=voice(2.0))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(MediaError, match=r"a\.mp4: is not media, or is cut off"):
        FileSource(str(path), 0.5)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        accepted: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accepted.append(listener.accept()[0]))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/live.mkv"
        thread.join()
        for connection in accepted:
            connection.close()


def test_a_stream_that_never_answers_ends_in_an_error(
    silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_open, "OPEN_TIMEOUT_S", 0.5)
    with pytest.raises(MediaError, match="no answer within"):
        FileSource(silent_server, 0.5)


def test_a_stream_that_is_refused_is_named() -> None:
    with pytest.raises(MediaError, match=r"http://127\.0\.0\.1:9/x: cannot be opened: .*refused"):
        FileSource("http://127.0.0.1:9/x", 0.5)


def test_real_clips_are_whole(media: list[Path]) -> None:
    for clip in media:
        items, source = read(clip)
        assert source.decode_errors == 0
        assert sum(len(s.samples) for s in sounds(items)) == pytest.approx(47_600, abs=800)
        assert not np.isnan(laid_out(items)[:47_000]).any()
        assert sum(p.rgb is not None for p in pictures(items)) == 6
