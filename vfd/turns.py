"""Scored windows as the turns, levels and weights that a sequential decision is fitted to."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vfd.calibration import HOP_S, ScoredWindows
from vfd.checkpoint import Calibration
from vfd.logistic import log_odds
from vfd.operating import DecisionModel, OperatingPoint
from vfd.operating_fit import TURN, Genuine, Swaps, fit_points, to_level

Floats = NDArray[np.floating[Any]]

LEAST_PEOPLE: Final = 3
"""Fewer tell nothing of how people differ."""
LEAST_TURNS: Final = 20
"""With fewer, turns are drawn from a first-order process instead."""
OTHERS: Final = 3
MADE_TURNS: Final = 2_000
MADE_CORRELATION: Final = 0.6  # what overlap alone makes of windows a second apart, nearly
_HOP_TOLERANCE_S: Final = 0.05
_NOT_FITTED: Final = (OperatingPoint(0.0, 0.0),)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Of one kind, a row each: `person` (of swaps: the pair), `stream` (a call, or a part of one
    with one room and one camera), `time_s` in it, `jump` as in `vfd.own`."""

    score: Floats
    person: NDArray[np.str_]
    stream: NDArray[np.str_]
    time_s: Floats
    jump: Floats


def fit_decision(scored: ScoredWindows, jump: Floats | None = None, seed: int = 1) -> DecisionModel:
    """`jump` (rows,); of a fake row, how far the exchanged face or voice is from the one before.
    Without it changes are told by the fall of the score alone.

    Raises ValueError for fewer than LEAST_PEOPLE genuine people, and where swaps score no lower.
    """
    jumps = np.zeros(len(scored.score)) if jump is None else jump
    evidence = evidence_of(scored, jumps)
    genuine = genuine_of(windows_of(scored, jumps, real=True), evidence)
    swaps = swaps_of(windows_of(scored, jumps, real=False))
    model = dataclasses.replace(
        evidence,
        person_mean=genuine.mean,
        person_sd=genuine.person_sd,
        swap_jump=float(np.median(swaps.jumps)),
        people=genuine.people,
        hours=genuine.hours,
    )
    return dataclasses.replace(model, points=fit_points(model, genuine, swaps, seed))


def windows_of(scored: ScoredWindows, jump: Floats, *, real: bool) -> Windows:
    chosen = scored.real == real
    pair = np.char.add(np.char.add(scored.voice_id, "\n"), scored.face_id)[chosen]
    return Windows(
        scored.score[chosen],
        scored.voice_id[chosen] if real else pair,
        np.char.add(np.char.add(pair, "\n"), scored.stream[chosen]),
        scored.time_s[chosen],
        jump[chosen],
    )


def evidence_of(scored: ScoredWindows, jump: Floats) -> DecisionModel:
    """Weights of the evidence alone. Fall and jump weigh the same: at the rates that are asked for,
    the tail of genuine streams counts, and a likelihood fitted to all of them trusts jumps three
    times as much as that tail allows (training/LOG.md)."""
    fake = ~scored.real
    weight, bias = log_odds(scored.score[:, None], fake)
    if not weight < 0:
        raise ValueError("swapped pairs score no lower than genuine ones: nothing can be decided")
    moved, change_bias = log_odds((_falls(scored) + jump)[:, None], fake)
    return DecisionModel(
        centre=-bias / weight,
        slope=-weight,
        fall_weight=max(moved, 0.0),
        jump_weight=max(moved, 0.0) if jump.any() else 0.0,
        change_bias=-change_bias,
        swap_jump=0.0,
        person_mean=0.0,
        person_sd=0.0,
        people=0,
        hours=0.0,
        points=_NOT_FITTED,
    )


def _falls(scored: ScoredWindows) -> Floats:
    """How far below the genuine mean of the person who speaks each window scores; below that of
    everybody, where none is known of the person."""
    names, person = np.unique(scored.voice_id, return_inverse=True)
    real = scored.real
    counts = np.bincount(person[real], minlength=len(names))
    sums = np.bincount(person[real], scored.score[real], minlength=len(names))
    everybody = scored.score[real].mean()
    means = np.where(counts > 0, sums / np.maximum(counts, 1), everybody)
    return np.asarray(means[person] - scored.score)


def genuine_of(windows: Windows, model: DecisionModel) -> Genuine:
    """A person's level is the mean of those of their streams; what streams of one person differ by
    is the call's. Raises ValueError for fewer than LEAST_PEOPLE people."""
    level = to_level(windows.score)
    _, first, stream = np.unique(windows.stream, return_index=True, return_inverse=True)
    _, person = np.unique(windows.person, return_inverse=True)
    people = int(person.max()) + 1
    if people < LEAST_PEOPLE:
        raise ValueError(f"{people} genuine people; at least {LEAST_PEOPLE} are needed")
    of_stream = np.bincount(stream, level) / np.bincount(stream)
    owner = person[first]
    calls = np.bincount(owner)
    means = np.bincount(owner, of_stream) / calls
    freedom = max(len(owner) - people, 1)
    call_2 = float(np.square(of_stream - means[owner]).sum() / freedom)
    person_2 = max(float(means.var(ddof=1)) - call_2 * float((1 / calls).mean()), 0.0)
    turns, jumps = _turns(windows, level - of_stream[stream])
    changes, change_person = _changes(windows, stream, owner, model)
    return Genuine(
        mean=float(means.mean()),
        person_sd=float(np.sqrt(person_2)),
        call_sd=float(np.sqrt(call_2)),
        turns=turns,
        jumps=jumps,
        changes=changes,
        change_person=change_person,
        people=people,
        hours=len(level) * HOP_S / 3_600,
    )


def _changes(
    windows: Windows, stream: NDArray[np.intp], owner: NDArray[np.intp], model: DecisionModel
) -> tuple[Floats, NDArray[np.intp]]:
    """Evidence of a change, (n,), where a person goes from one of their streams to another, at most
    OTHERS of them from each; and who that is, (n,)."""
    counts = np.bincount(stream)
    score = np.bincount(stream, windows.score) / counts
    jump = np.bincount(stream, windows.jump) / counts
    order = np.argsort(owner, kind="stable")
    found = [model.jump_weight * jump - model.change_bias]  # staying where they are
    persons = [owner]
    for shift in range(1, OTHERS + 1):
        before, after = order[:-shift], order[shift:]
        for one, other in ((before, after), (after, before)):
            same = owner[one] == owner[other]
            fall = (score[one] - score[other])[same]
            moved = model.jump_weight * jump[other][same]
            found.append(model.fall_weight * fall + moved - model.change_bias)
            persons.append(owner[one][same])
    return np.concatenate(found), np.concatenate(persons)


def swaps_of(windows: Windows) -> Swaps:
    level = to_level(windows.score)
    _, stream = np.unique(windows.stream, return_inverse=True)
    means = np.bincount(stream, level) / np.bincount(stream)
    return Swaps(means, _turns(windows, level - means[stream])[0], windows.jump)


def known_swaps(calibration: Calibration, model: DecisionModel) -> Swaps:
    """As a checkpoint remembers them."""
    rng = np.random.default_rng(1)
    score = rng.normal(calibration.fake_mean, calibration.fake_std_between, MADE_TURNS)
    return Swaps(
        to_level(score), made_turns(calibration.fake_std_within), np.array([model.swap_jump])
    )


def _turns(windows: Windows, deviation: Floats) -> tuple[Floats, Floats]:
    """Runs of TURN windows one hop apart, (n, TURN) each: deviations and jumps."""
    order = np.lexsort((windows.time_s, windows.stream))
    stream, time_s = windows.stream[order], windows.time_s[order]
    follows = stream[1:] == stream[:-1]
    follows &= np.abs(np.diff(time_s) - HOP_S) < _HOP_TOLERANCE_S
    run = np.concatenate([[0], np.cumsum(~follows)])
    place = np.arange(len(run)) - np.searchsorted(run, run)
    lengths = np.bincount(run)
    starts = np.flatnonzero((place % TURN == 0) & (place - place % TURN + TURN <= lengths[run]))
    if len(starts) < LEAST_TURNS:
        turns = made_turns(float(deviation.std()))
        return turns, np.zeros_like(turns)
    chosen = order[starts[:, None] + np.arange(TURN)]
    return deviation[chosen], windows.jump[chosen]


def made_turns(deviation: float) -> Floats:
    """(MADE_TURNS, TURN) of a first-order process."""
    noise = np.random.default_rng(1).standard_normal((MADE_TURNS, TURN))
    for window in range(1, TURN):
        fresh = np.sqrt(1 - MADE_CORRELATION**2) * noise[:, window]
        noise[:, window] = MADE_CORRELATION * noise[:, window - 1] + fresh
    return deviation * noise
