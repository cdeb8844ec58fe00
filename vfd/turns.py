"""Scored windows as the turns, levels and weights that a sequential decision is fitted to."""

import dataclasses
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
_MADE_TURNS: Final = 2_000
_HOP_TOLERANCE_S: Final = 0.05
NOT_FITTED: Final = (OperatingPoint(0.0, 0.0),)


def fit_decision(
    windows: ScoredWindows, jump: Floats | None = None, seed: int = 1
) -> DecisionModel:
    """`jump` (rows,) as in `vfd.own`; of a fake row, how far the exchanged face or voice is from
    the one before. Without it changes are told by the fall of the score alone.

    Raises ValueError for fewer than LEAST_PEOPLE genuine people.
    """
    jumps = np.zeros(len(windows.score)) if jump is None else jump
    model, genuine = evidence_of(windows, jumps), genuine_of(windows, jumps)
    model = dataclasses.replace(
        model,
        person_mean=genuine.mean,
        person_sd=genuine.person_sd,
        people=genuine.people,
        hours=genuine.hours,
    )
    points = fit_points(model, genuine, swaps_of(windows, jumps), seed)
    return dataclasses.replace(model, points=points)


def evidence_of(windows: ScoredWindows, jump: Floats) -> DecisionModel:
    """Weights of the evidence alone."""
    fake = ~windows.real
    weight, bias = log_odds(windows.score[:, None], fake)
    if not weight < 0:
        raise ValueError("swapped pairs score no lower than genuine ones: nothing can be decided")
    features = [_falls(windows), jump] if jump.any() else [_falls(windows)]
    *weights, change_bias = log_odds(np.column_stack(features), fake)
    return DecisionModel(
        centre=-bias / weight,
        slope=-weight,
        fall_weight=max(weights[0], 0.0),
        jump_weight=max(weights[1], 0.0) if len(weights) > 1 else 0.0,
        change_bias=-change_bias,
        person_mean=0.0,
        person_sd=0.0,
        people=0,
        hours=0.0,
        points=NOT_FITTED,
    )


def _falls(windows: ScoredWindows) -> Floats:
    """How far below the genuine mean of the person who speaks each window scores; below that of
    everybody, where none is known of the person."""
    names, person = np.unique(windows.voice_id, return_inverse=True)
    real = windows.real
    counts = np.bincount(person[real], minlength=len(names))
    sums = np.bincount(person[real], windows.score[real], minlength=len(names))
    everybody = windows.score[real].mean()
    means = np.where(counts > 0, sums / np.maximum(counts, 1), everybody)
    return np.asarray(means[person] - windows.score)


def genuine_of(
    windows: ScoredWindows, jump: Floats, calibration: Calibration | None = None
) -> Genuine:
    """Levels and turns of the genuine rows. Raises ValueError for too few people."""
    rows = np.flatnonzero(windows.real)
    level = to_level(windows.score[rows])
    _, person = np.unique(windows.voice_id[rows], return_inverse=True)
    names = np.char.add(np.char.add(windows.voice_id[rows], "\n"), windows.stream[rows])
    _, first, stream = np.unique(names, return_index=True, return_inverse=True)
    people = int(person.max()) + 1
    if people < LEAST_PEOPLE:
        raise ValueError(f"{people} genuine people; at least {LEAST_PEOPLE} are needed")
    of_stream = np.bincount(stream, level) / np.bincount(stream)
    owner = person[first]
    calls = np.bincount(owner)
    means = np.bincount(owner, of_stream) / calls
    several = calls[owner] > 1
    freedom = int(several.sum() - (calls > 1).sum())
    call_2 = float(np.square(of_stream - means[owner])[several].sum() / max(freedom, 1))
    person_2 = max(float(means.var(ddof=1)) - call_2 * float((1 / calls).mean()), 0.0)
    turns, jumps = _turns(windows, rows, level - of_stream[stream], jump)
    if len(turns) < LEAST_TURNS:
        turns, jumps = _made_turns(level - means[person], calibration)
    return Genuine(
        mean=float(means.mean()),
        person_sd=float(np.sqrt(person_2)),
        call_sd=float(np.sqrt(call_2)),
        turns=turns,
        jumps=jumps,
        people=people,
        hours=len(rows) * HOP_S / 3_600,
    )


def swaps_of(windows: ScoredWindows, jump: Floats) -> Swaps:
    rows = np.flatnonzero(~windows.real)
    level = to_level(windows.score[rows])
    pair = np.char.add(np.char.add(windows.voice_id[rows], "\n"), windows.face_id[rows])
    _, number = np.unique(
        np.char.add(np.char.add(pair, "\n"), windows.stream[rows]), return_inverse=True
    )
    counts = np.bincount(number)
    means = np.bincount(number, level) / counts
    turns, _ = _turns(windows, rows, level - means[number], jump)
    if len(turns) < LEAST_TURNS:
        turns, _ = _made_turns(level - means[number], None)
    return Swaps(means, turns, jump[rows])


def _turns(
    windows: ScoredWindows, rows: NDArray[np.intp], deviation: Floats, jump: Floats
) -> tuple[Floats, Floats]:
    """Runs of TURN windows one hop apart, (n, TURN) each: deviations and jumps."""
    order = np.lexsort((windows.time_s[rows], windows.face_id[rows], windows.stream[rows]))
    stream, time_s = windows.stream[rows][order], windows.time_s[rows][order]
    follows = stream[1:] == stream[:-1]
    follows &= np.abs(np.diff(time_s) - HOP_S) < _HOP_TOLERANCE_S
    run = np.concatenate([[0], np.cumsum(~follows)])
    place = np.arange(len(run)) - np.searchsorted(run, run)
    lengths = np.bincount(run)
    starts = np.flatnonzero((place % TURN == 0) & (place + TURN <= lengths[run]))
    chosen = order[starts[:, None] + np.arange(TURN)]
    return deviation[chosen], jump[rows][chosen]


def _made_turns(deviation: Floats, calibration: Calibration | None) -> tuple[Floats, Floats]:
    """Of a first-order process with the deviation that single windows have."""
    correlation = 0.6 if calibration is None else calibration.autocorrelation
    noise = np.random.default_rng(1).standard_normal((_MADE_TURNS, TURN))
    for window in range(1, TURN):
        fresh = np.sqrt(1 - correlation**2) * noise[:, window]
        noise[:, window] = correlation * noise[:, window - 1] + fresh
    turns = float(deviation.std()) * noise
    return turns, np.zeros_like(turns)
