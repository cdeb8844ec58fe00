"""What is taken of a stream that offers more than is needed."""

import asyncio
from pathlib import Path

from monitor.file_source import FileSource
from monitor.media_tracks import Picture, Sound
from tests.stream_servers import prepared
from tests.web_pages import Page, web


def variant(folder: Path, name: str, size: str) -> dict[str, Page]:
    """The playlist `name`.m3u8 and its segments of one second."""
    segments = ("-hls_time", "1", "-hls_list_size", "0")
    prepared(folder / f"{name}.m3u8", "-vf", f"scale={size}", "-c:a", "aac", *segments, times=2)
    return {f"/{path.name}": Page(path.read_bytes()) for path in folder.glob(f"{name}*")}


def followed(location: str) -> tuple[set[tuple[int, ...]], float]:
    """The forms of its pictures, and how many seconds of sound there were."""
    source = FileSource(location, 0.5, followed=True)
    try:
        items = list(source)
    finally:
        source.close()
    shapes = {p.rgb.shape for p in items if isinstance(p, Picture) and p.rgb is not None}
    return shapes, sum(s.end_s - s.time_s for s in items if isinstance(s, Sound))


async def test_of_several_sizes_the_smallest_that_suffices_is_fetched(tmp_path: Path) -> None:
    pages: dict[str, Page] = {}
    lines = ["#EXTM3U"]
    for name, size in (("large", "1280x720"), ("middle", "640x360"), ("small", "320x180")):
        pages |= variant(tmp_path, name, size)
        bandwidth = 1_000_000 * int(size.split("x")[0])
        lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={size}", f"{name}.m3u8"]
    pages["/all.m3u8"] = Page("\n".join([*lines, ""]).encode())
    async with web(pages) as (host, asked):
        shapes, sound_s = await asyncio.to_thread(followed, f"http://{host}/all.m3u8")
    assert shapes == {(360, 640, 3)}
    assert sound_s > 7
    last = sorted(path for path in pages if path.startswith("/middle") and path.endswith(".ts"))[-1]
    assert last in asked
    assert not {last.replace("middle", "large"), last.replace("middle", "small")} & set(asked)
