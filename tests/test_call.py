"""The simulated callers: who takes part, and what their tracks send."""

import math
from fractions import Fraction

import pytest
from aiortc.mediastreams import MediaStreamError

from training.call import CLEARLY_SOMEBODY_ELSE, NAMES, SWAPPED, LoopTrack, draw_cast
from training.people import TEST_SEED, oracle_similarity

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
