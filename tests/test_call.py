"""The simulated callers: who takes part, and what their tracks send."""

import math
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from training import call
from training.call import (
    CLEARLY_SOMEBODY_ELSE,
    HALF_SILENT,
    NAMES,
    SWAPPED,
    LoopTrack,
    draw_cast,
    render_trouble,
)
from training.people import TEST_SEED, Person, oracle_similarity
from training.talking import TalkingLoop
from training.troubles import Trouble

PACKETS = tuple(bytes([i]) for i in range(6))
OTHERS = tuple(bytes([100 + i]) for i in range(6))


def test_a_seed_repeats_its_cast_and_no_training_has_seen_it() -> None:
    cast = draw_cast(11)
    assert cast == draw_cast(11) != draw_cast(12)
    people = [*cast.people.values(), cast.donor]
    assert tuple(cast.people) == NAMES
    assert all(p.seed >= TEST_SEED for p in people)
    assert len({p.seed for p in people}) == 5


def test_the_donor_is_clearly_somebody_else() -> None:
    similarities = [draw_cast(seed).swap_similarity for seed in range(60)]
    assert max(similarities) <= CLEARLY_SOMEBODY_ELSE
    same_sex = [s for s in similarities if math.isfinite(s)]
    assert 0.2 < len(same_sex) / len(similarities) < 0.7  # both kinds of swap are shown
    cast = draw_cast(0)
    assert cast.swap_similarity == oracle_similarity(cast.people[SWAPPED].voice, cast.donor.face)


def track() -> LoopTrack:
    return LoopTrack("video", PACKETS, 0.005, Fraction(1, 200), cut_every=3)


async def test_a_track_goes_round_in_real_time() -> None:
    packets = [await (t := track()).recv()] + [await t.recv() for _ in range(7)]
    assert [bytes(p)[0] for p in packets] == [0, 1, 2, 3, 4, 5, 0, 1]
    assert [p.pts for p in packets] == list(range(8))


async def test_a_swap_waits_for_the_next_cut_and_keeps_its_place() -> None:
    video, swapped = track(), []
    await video.recv()
    video.replace(OTHERS, lambda: swapped.append(True))
    rest = [bytes(await video.recv())[0] for _ in range(5)]
    assert rest == [1, 2, 103, 104, 105]
    assert swapped == [True]


async def test_a_stopped_track_ends() -> None:
    video = track()
    video.stop()
    with pytest.raises(MediaStreamError):
        await video.recv()


async def test_tracks_of_one_epoch_are_at_the_same_place_and_begin_at_a_cut() -> None:
    epoch_s = time.monotonic() - 0.0375  # 7 packets and a half ago
    video = LoopTrack("video", PACKETS, 0.005, Fraction(1, 200), cut_every=3, epoch_s=epoch_s)
    packet = await video.recv()
    late_s = time.monotonic() - epoch_s
    assert packet.pts % 3 == 0
    assert packet.pts >= 9
    assert bytes(packet)[0] == packet.pts % 6
    assert late_s >= packet.pts * 0.005


def test_every_trouble_is_had_by_one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn of each is tested where it is drawn; here, by whom it is had."""
    had: list[tuple[object, ...]] = []
    loop = TalkingLoop((b"",), (b"",))
    monkeypatch.setattr(call, "talker", lambda *had_by: (loop, np.zeros(1, np.float32)))

    def drawn_as(name: str) -> Callable[..., TalkingLoop]:
        def draw(*arguments: object) -> TalkingLoop:
            had.append((name, *arguments))
            return loop

        return draw

    for name in ("overhearing", "off_screen", "interpreted", "two_faces", "swapped"):
        monkeypatch.setattr(call, name, drawn_as(name))
    cast = draw_cast(1)
    drawn = {t: render_trouble(cast, 1, t) for t in Trouble}
    assert [set(loops) - {NAMES[0]} for loops, _ in drawn.values()] == [
        {HALF_SILENT},
        {SWAPPED},
        {HALF_SILENT},
        {HALF_SILENT},
        {HALF_SILENT},
    ]
    assert [t for t, (_, swap) in drawn.items() if swap] == [Trouble.MILD_ECHO]
    assert [name for name, *_ in had] == [
        "overhearing",
        "overhearing",
        "swapped",
        "off_screen",
        "interpreted",
        "two_faces",
    ]
    _, shown, heard, _ = had[3]
    assert isinstance(shown, Person)
    assert isinstance(heard, Person)
    assert oracle_similarity(heard.voice, shown.face) <= CLEARLY_SOMEBODY_ELSE
