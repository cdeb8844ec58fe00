"""Mixed streams through the whole monitor, recorded and live, into `monitor/reports/mixed.md`.

make bench-mixed

The streams are those of `tests.bench_speaker`, as files: each is watched (`vfd-monitor watch`), and
joined by a running service, which plays it in real time. What the service costs
is measured on RTMP streams of nginx.
"""

import asyncio
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import httpx
import pytest

from monitor.alerts import Alerter
from monitor.assembly import (
    configured_checkpoint,
    configured_engine,
    decision_limits,
    face_finder,
)
from monitor.call_urls import parse_call_url
from monitor.cast import Faces
from monitor.config import Config, JoinConfig, ServerConfig
from monitor.cpu import Stage, StageCpu
from monitor.read_ahead import ReadAhead
from monitor.replay import Replay
from monitor.scorer import Scorer
from monitor.service import Service
from monitor.timeline import Hop
from monitor.watch import watch
from tests.bench_demo import header, machine
from tests.bench_speaker import KINDS, SECONDS, Kind, composed
from tests.mixed_streams import Judged, Kept, keep, right, scored
from tests.peers import until
from tests.stream_servers import nginx, prepared, publishing
from training.gallery import Gallery
from training.gallery_file import write_gallery
from vfd.decision import State
from vfd.types import ParticipantKey

REPORT: Final = Path(__file__).parents[1] / "monitor" / "reports" / "mixed.md"
LIBRARIES: Final = ("numpy", "opencv-python-headless", "openvino", "av", "webrtcvad-wheels")
CONFIG: Final = Config(server=ServerConfig(port=0), join=JoinConfig(allow_private_targets=True))
GOAL_RIGHT: Final = 0.9
GOAL_SCORED: Final = 0.6
COSTS: Final[tuple[tuple[int, Faces], ...]] = ((1, "auto"), (1, "several"), (4, "auto"))
COST_S: Final = 20
WARM_S: Final = 12.0  # from joining until everything runs


@dataclass(frozen=True)
class Stream:
    kind: Kind
    seed: int
    gallery: Gallery
    file: Path


@dataclass(frozen=True)
class Outcome:
    """`suspected`: whose mismatch was declared, by place. `participants`: tracks, of all."""

    judged: list[Judged]
    suspected: Counter[int]
    participants: int


def streams(folder: Path) -> list[Stream]:
    made = []
    for seed, kind in enumerate(KINDS, start=1):
        gallery = composed(kind, seed)
        made.append(Stream(kind, seed, gallery, write_gallery(gallery, folder / f"{seed}.mkv")))
    return made


def watched(stream: Stream, kept: Kept) -> Outcome:
    """In virtual time."""
    kept.steps.clear()
    checkpoint = configured_checkpoint(CONFIG)
    limits = decision_limits(CONFIG, checkpoint)
    hops: list[Hop] = []
    with (
        closing(ReadAhead(str(stream.file), CONFIG.scoring.face_interval_s, closely=True)) as media,
        closing(configured_engine(CONFIG, checkpoint)) as engine,
    ):
        media.open()
        scorer = Scorer(engine, 1, checkpoint.info.config.front_end)
        alerter = Alerter(checkpoint, limits, ())
        replay = Replay("all", face_finder(CONFIG), scorer, alerter, limits, CONFIG.scoring)
        watch(media, replay, lambda hop, _: hops.append(hop))
    suspected = {hop.result.key for hop in hops if hop.verdict.state is State.MISMATCH}
    return _outcome(stream, kept, suspected, live=False)


async def joined(stream: Stream, kept: Kept) -> Outcome:
    """In real time."""
    kept.steps.clear()
    suspected = set[ParticipantKey]()
    async with serving(CONFIG) as service, httpx.AsyncClient(base_url=service.url) as client:
        call = service.calls.add(parse_call_url(str(stream.file)))
        while not call.over.is_set():
            people = (await client.get("/v1/participants")).json()["participants"]
            found = [person for person in people if person["state"] == "mismatch"]
            suspected |= {ParticipantKey(p["call"], p["participant"]) for p in found}
            await asyncio.sleep(0.5)
    return _outcome(stream, kept, suspected, live=True)


def _outcome(stream: Stream, kept: Kept, suspected: set[ParticipantKey], *, live: bool) -> Outcome:
    people = kept.people(stream.gallery)
    places = Counter(people[key] for key in suspected if key in people)
    return Outcome(kept.judged(stream.gallery, live=live), places, len(people))


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Service]:
    service = Service(config)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def cost(people: int, faces: Faces, folder: Path) -> dict[Stage, float]:
    """CPU seconds a second of one RTMP stream of 1280x720 at 30 pictures a second."""
    config = replace(CONFIG, join=replace(CONFIG.join, faces=faces))
    drawn = write_gallery(composed(Kind(people, 12), 20 + people), folder / "drawn.mkv")
    shape = ("-vf", "scale=-2:720,pad=1280:720:(ow-iw)/2", "-r", "30")
    sent = prepared(folder / "sent.mp4", "-c:a", "aac", *shape, source=drawn)
    async with nginx(folder / f"nginx-{people}-{faces}") as server:
        url = f"{server.rtmp}/stream"
        to = ("-c", "copy", "-f", "flv", url)
        async with publishing(sent, *to, log=folder / "log"), serving(config) as service:
            call = service.calls.add(parse_call_url(url))
            await until(call.entered.is_set, 20)
            await asyncio.sleep(WARM_S)
            cpu = StageCpu()
            before = cpu.sample()
            await asyncio.sleep(COST_S)
            after = cpu.sample()
            await service.calls.remove(call.id)
    return {stage: (after[stage] - before[stage]) / COST_S for stage in Stage}


def _row(stream: Stream, path: str, outcome: Outcome) -> str:
    kind, judged = stream.kind, outcome.judged
    off = [window for window in judged if window.truth >= kind.people]
    swapped = kind.people - 1
    cells = (
        stream.seed,
        path,
        kind.people,
        kind.fps,
        " ".join(n for n in ("swapped", "off_screen") if getattr(kind, n)).replace("_", " "),
        len(judged) - len(off),
        f"{scored(judged, kind.people):.2f}",
        f"{right(judged):.3f}",
        f"{sum(window.chosen is not None for window in off)} of {len(off)}",
        outcome.participants,
        ("yes" if outcome.suspected[swapped] else "**no**") if kind.swapped else "",
        sum(n for who, n in outcome.suspected.items() if not (kind.swapped and who == swapped)),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _sums(path: str, outcomes: Sequence[tuple[Stream, Outcome]]) -> list[str]:
    judged = [w for _, outcome in outcomes for w in outcome.judged]
    on_screen = [w for s, o in outcomes for w in o.judged if w.truth < s.kind.people]
    given = [w for w in on_screen if w.chosen is not None]
    share, chosen = len(given) / len(on_screen), [w for w in judged if w.chosen is not None]
    missed = {True: "", False: ": **missed**"}
    return [
        f"| {path}: right speaker, of {len(chosen)} scored windows | {right(judged):.3f} |"
        f" at least {GOAL_RIGHT}{missed[right(judged) >= GOAL_RIGHT]} |",
        f"| {path}: scored, of {len(on_screen)} windows with a speaker on screen | {share:.3f} |"
        f" at least {GOAL_SCORED}{missed[share >= GOAL_SCORED]} |",
    ]


def report(rows: Sequence[str], sums: Sequence[str], costs: dict[str, dict[Stage, float]]) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return "\n".join(
        (
            "# Mixed streams through the whole monitor",
            "",
            f"Written by `make bench-mixed` on {machine()}, {versions}, load"
            f" {os.getloadavg()[0]:.1f} at the end, at niceness {os.nice(0)}. {len(KINDS)} streams"
            f" of {SECONDS} s, those of [speaker.md](../../training/reports/speaker.md): synthetic"
            " people whom no threshold and no training has seen, in turns of 3.5 to 8 s. `recorded`"
            " is what `vfd-monitor watch` does, `live` a service that plays them in real time, one"
            ' after the other. `[join].faces` is "auto"; windows before there are several'
            " participants do not count, nor do those without speech.",
            "",
            header("what", "measured", "goal"),
            *sums,
            "",
            "A participant is a track: somebody whose track ends begins a new one. *Suspected*: a"
            " mismatch was declared.",
            "",
            header(
                *("seed", "path", "people", "pictures a second", "kind"),
                *("windows with a speaker on screen", "scored", "right of scored"),
                *("off screen but scored", "participants", "the swapped suspected"),
                "others suspected",
            ),
            *rows,
            "",
            "## CPU",
            "",
            f"One RTMP stream of 1280x720 at 30 pictures a second, H.264, a keyframe every second,"
            f" over {COST_S} s; ms of CPU a second. `other` is the thread that reads and decodes.",
            "",
            header("stream", *Stage, "in all"),
            *(
                f"| {name} | "
                + " | ".join(f"{1e3 * used[stage]:.0f}" for stage in Stage)
                + f" | {1e3 * sum(used.values()):.0f} |"
                for name, used in costs.items()
            ),
            "",
        )
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder, kept = Path(name), keep(patch)
        made = streams(folder)
        recorded = [watched(stream, kept) for stream in made]
        live = [asyncio.run(joined(stream, kept)) for stream in made]
        costs = {
            f'{people} shown, `faces = "{faces}"`': asyncio.run(cost(people, faces, folder))
            for people, faces in COSTS
        }
    sums, rows = list[str](), list[str]()
    for path, outcomes in (("recorded", recorded), ("live", live)):
        sums += _sums(path, list(zip(made, outcomes, strict=True)))
        rows += [_row(s, path, outcome) for s, outcome in zip(made, outcomes, strict=True)]
    text = report(rows, sums, costs)
    REPORT.write_text(text)
    print(text)
    sys.exit("**missed**" in text)


if __name__ == "__main__":
    main()
