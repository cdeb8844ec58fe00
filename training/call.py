"""A simulated call: synthetic people who publish themselves to a monitor over WHIP (RFC 9725).

    python -m training.call --url http://127.0.0.1:8787 --seed 7

Two people are genuine throughout, one is genuine and silent half of the time, one is genuine until
`--swap-at` seconds and then wears somebody else's face while the voice goes on. What happens is
printed as JSON lines, with times on the machine's monotonic clock:
`{"event": "cast" | "joined" | "swapped" | "left", "time_s": ..., ...}`.

With `--trouble` there are two people, and the voice of one is not, or not only, theirs: an echo, an
interpreter, somebody beside the camera (`training.troubles`).
"""

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import av
import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from training.people import TEST_SEED, Person, draw_person, oracle_similarity
from training.talking import FPS, KEYFRAME_EVERY, TalkingLoop, talking_loop
from training.troubles import (
    ECHO_DB,
    MILD_ECHO_DB,
    Trouble,
    interpreted,
    off_screen,
    overhearing,
    swapped,
    talker,
    two_faces,
)

NAMES = ("amira", "boris", "chen", "dana")
HALF_SILENT = "chen"
SWAPPED = "dana"
CLEARLY_SOMEBODY_ELSE = -20.0
"""Nats of oracle similarity. Nine in ten strangers are below: the other sex always, and of the same
sex four in five. A demonstration shows what is there to be seen, not a chance look-alike."""
AUDIO_PACKET_S = 0.02
VIDEO_CLOCK = Fraction(1, FPS)
AUDIO_CLOCK = Fraction(1, 48_000)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part, and whose face the swapped one will wear."""

    people: dict[str, Person]
    donor: Person

    @property
    def swap_similarity(self) -> float:
        """Oracle similarity (nats) of the swapped one's voice with the donor's face."""
        return oracle_similarity(self.people[SWAPPED].voice, self.donor.face)


def draw_cast(seed: int) -> Cast:
    """Four people and a donor that no training has seen; the same for the same `seed`."""
    rng = np.random.default_rng((seed, 0))

    def stranger() -> Person:
        return draw_person(int(rng.integers(TEST_SEED, 2**62)))

    people = {name: stranger() for name in NAMES}
    donor = stranger()
    while oracle_similarity(people[SWAPPED].voice, donor.face) > CLEARLY_SOMEBODY_ELSE:
        donor = stranger()
    return Cast(people, donor)


def render(cast: Cast, seed: int) -> tuple[dict[str, TalkingLoop], TalkingLoop]:
    """The loops of everybody, and the one of the swapped voice with the donor's face."""
    jobs = [
        (p.voice, p.face, seed + i, 12, 0.5 if name == HALF_SILENT else 1.0)
        for i, (name, p) in enumerate(cast.people.items())
    ]
    swapped = NAMES.index(SWAPPED)
    jobs.append((cast.people[SWAPPED].voice, cast.donor.face, seed + swapped, 12, 1.0))
    workers = min(len(jobs), os.cpu_count() or 1)
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        *loops, swapped_loop = pool.starmap(talking_loop, jobs, chunksize=1)
    return dict(zip(NAMES, loops, strict=True)), swapped_loop


def render_trouble(
    cast: Cast, seed: int, trouble: Trouble
) -> tuple[dict[str, TalkingLoop], TalkingLoop | None]:
    """As `render`, of those who matter: somebody who speaks all the time, and HALF_SILENT or
    SWAPPED, who has the trouble."""
    people = cast.people
    first, played = talker(people[NAMES[0]], seed)
    loops = {NAMES[0]: first}
    match trouble:
        case Trouble.ECHO:
            loops[HALF_SILENT] = overhearing(people[HALF_SILENT], played, ECHO_DB, 0.5, seed + 2)
        case Trouble.MILD_ECHO:
            loop = overhearing(people[SWAPPED], played, MILD_ECHO_DB, 1.0, seed + 3)
            loops[SWAPPED] = loop
            return loops, swapped(loop, people[SWAPPED], cast.donor, seed + 3)
        case Trouble.OFF_SCREEN:
            loops[HALF_SILENT] = off_screen(cast.donor, people[SWAPPED], seed + 2)
        case Trouble.INTERPRETER:
            loops[HALF_SILENT] = interpreted(cast.donor, people[SWAPPED], seed + 2)
        case Trouble.TWO_FACES:
            loops[HALF_SILENT] = two_faces((people[HALF_SILENT], cast.donor), seed + 2)
    return loops, None


class LoopTrack(MediaStreamTrack):
    """Plays encoded packets round and round in real time; the packets may change at a cut. With
    `epoch_s`, as if it had begun then: tracks of one epoch are at the same place of their loops."""

    def __init__(
        self,
        kind: str,
        packets: tuple[bytes, ...],
        tick_s: float,
        clock: Fraction,
        cut_every: int,
        epoch_s: float | None = None,
    ) -> None:
        super().__init__()
        self.kind = kind
        self._packets, self._tick_s, self._clock = packets, tick_s, clock
        self._cut_every = cut_every
        self._next: tuple[tuple[bytes, ...], Callable[[], None]] | None = None
        self._index = 0
        self._epoch_s = epoch_s
        self._start_s: float | None = None

    def replace(self, packets: tuple[bytes, ...], done: Callable[[], None]) -> None:
        """From the next cut on play `packets`, at the same place of the loop; then call `done`."""
        self._next = (packets, done)

    async def recv(self) -> "av.Packet[Any]":
        """The next packet, when it is due. Raises MediaStreamError once stopped."""
        if self.readyState != "live":
            raise MediaStreamError
        if self._start_s is None:
            self._start_s = self._start()
        due_s = self._start_s + self._index * self._tick_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        if self._next and self._index % self._cut_every == 0:
            self._packets, done = self._next
            self._next = None
            done()
        packet = av.Packet(self._packets[self._index % len(self._packets)])
        packet.pts = round(self._index * self._tick_s / self._clock)
        packet.time_base = self._clock
        self._index += 1
        return packet

    def _start(self) -> float:
        """When the first packet of the loop is due, or would have been."""
        now_s = time.monotonic()
        start_s = now_s if self._epoch_s is None else self._epoch_s
        cut_s = self._cut_every * self._tick_s
        self._index = math.ceil((now_s - start_s) / cut_s) * self._cut_every
        return start_s


class Publisher:
    """One person in a call: a WHIP session that sends a talking loop, begun at `epoch_s`."""

    def __init__(
        self, client: httpx.AsyncClient, call: str, name: str, loop: TalkingLoop, epoch_s: float
    ) -> None:
        self.name = name
        self._client, self._call = client, call
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._resource = ""
        self.audio = LoopTrack("audio", loop.audio, AUDIO_PACKET_S, AUDIO_CLOCK, 1, epoch_s)
        self.video = LoopTrack("video", loop.video, 1 / FPS, VIDEO_CLOCK, KEYFRAME_EVERY, epoch_s)

    async def join(self) -> None:
        """Offers VP8 and Opus; raises httpx.HTTPStatusError when the monitor refuses."""
        self._peer.addTransceiver(self.audio, direction="sendonly")
        video = self._peer.addTransceiver(self.video, direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([c for c in codecs if c.mimeType in ("video/VP8", "video/rtx")])
        await self._peer.setLocalDescription(await self._peer.createOffer())
        response = await self._client.post(
            f"/whip/{self._call}/{self.name}",
            content=self._peer.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
        response.raise_for_status()
        self._resource = response.headers["Location"]
        await self._peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))

    async def leave(self) -> None:
        """Says goodbye and frees the connection; safe when never joined."""
        if self._resource:
            await self._client.delete(self._resource)
            self._resource = ""
        await self._peer.close()


def say(event: str, **fields: object) -> None:
    """One JSON line on standard output."""
    print(json.dumps({"event": event, "time_s": time.monotonic(), **fields}), flush=True)


async def hold_call(args: argparse.Namespace) -> None:
    """Renders, joins, swaps, leaves."""
    cast = draw_cast(args.seed)
    similarity = cast.swap_similarity
    say(
        "cast",
        people=NAMES,
        always_speaking=[name for name in NAMES if name != HALF_SILENT],
        swapped=SWAPPED,
        oracle_similarity=similarity if math.isfinite(similarity) else None,
    )
    draw = partial(render_trouble, trouble=Trouble(args.trouble)) if args.trouble else render
    loops, swapped_loop = await asyncio.to_thread(draw, cast, args.seed)
    headers = {"Authorization": f"Bearer {args.token}"} if args.token else {}
    async with httpx.AsyncClient(
        base_url=args.url, headers=headers, timeout=20, trust_env=False
    ) as client:
        epoch_s = time.monotonic()
        publishers = {
            name: Publisher(client, args.call, name, loop, epoch_s) for name, loop in loops.items()
        }
        try:
            for publisher in publishers.values():
                await publisher.join()
                say("joined", participant=publisher.name)
            await asyncio.sleep(args.swap_at)
            if swapped_loop is not None:
                publishers[SWAPPED].video.replace(
                    swapped_loop.video, lambda: say("swapped", participant=SWAPPED)
                )
            await asyncio.sleep(max(0.0, args.seconds - args.swap_at))
        finally:
            await asyncio.gather(*(p.leave() for p in publishers.values()), return_exceptions=True)
    say("left")


def main() -> None:
    """Entry point of `python -m training.call`."""
    parser = argparse.ArgumentParser(prog="training.call", description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True, help="where the monitor listens, http://host:port")
    parser.add_argument("--call", default="demo", help="name of the call")
    parser.add_argument("--token", default=os.environ.get("VFD_SERVER_TOKEN", ""))
    parser.add_argument("--seed", type=int, required=True, help="who takes part")
    parser.add_argument("--seconds", type=float, default=40.0, help="length of the call")
    parser.add_argument("--swap-at", type=float, default=20.0, help="second of the swap")
    parser.add_argument("--trouble", choices=list(Trouble), help="two people, one of whom has this")
    args = parser.parse_args()
    try:
        asyncio.run(hold_call(args))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
