"""How near a model comes to the best possible and to the goals, and how far from the trivial."""

from typing import Any, Final

from training.evaluate import BEST, Evaluation
from training.lines import CALL
from vfd.metrics import Interval

PARTS: Final = {"auc": "overall", "auc_same_sex": "within one sex"}
WAY: Final = 0.9
"""Of the way from a worthless 0.5 to the best possible: asked of both."""
GOALS: Final = {"auc": (0.93, 0.95), "auc_same_sex": (0.80, 0.85)}
"""AUCs asked of the weights that ship, after the codecs of a call: at first, and since."""


def headway(evaluation: Evaluation) -> dict[str, float]:
    """Shares of the way from 0.5 to the best possible AUC, of PARTS; those that were measured."""
    if BEST not in evaluation.results:
        return {}
    ours, best = _areas(evaluation, evaluation.main), _areas(evaluation, BEST)
    return {
        part: (ours[part].value - 0.5) / (best[part].value - 0.5)
        for part in PARTS
        if part in ours and part in best and best[part].value > 0.5
    }


def markdown(evaluation: Evaluation) -> list[str]:
    """A table with a column for each of PARTS; nothing where there is nothing to compare with."""
    rows = _against_best(evaluation) + _less(evaluation)
    if not rows:
        return []
    return [f"| | {' | '.join(PARTS.values())} |", "|-|" + "-|" * len(PARTS), *rows]


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """`headway` by part, and `differences` by the other scorer and part."""
    return {
        "headway": headway(evaluation),
        "differences": {
            other: {part: [d.value, d.low, d.high] for part, d in measured.items()}
            for other, measured in evaluation.differences.items()
        },
    }


def _against_best(evaluation: Evaluation) -> list[str]:
    way = headway(evaluation)
    if not way:
        return []
    shares = {part: f"{100 * share:.1f} %" for part, share in way.items()}
    rows = [_row(f"of the way from 0.5 to the best possible (goal: {100 * WAY:.0f} %)", shares)]
    if evaluation.data.get("line") != CALL.name:
        return rows
    ours = _areas(evaluation, evaluation.main)
    for number, which in enumerate(("first goals", "goals")):
        wanted = {part: goals[number] for part, goals in GOALS.items()}
        met = {p: "met" if ours[p].low >= wanted[p] else "not met" for p in ours}
        asked = " and ".join(f"{goal:.2f}" for goal in wanted.values())
        rows.append(_row(f"lower end of the interval against the {which}, {asked}", met))
    return rows


def _less(evaluation: Evaluation) -> list[str]:
    """Paired: the same identities are drawn for both."""
    return [
        _row(
            f"AUC of {evaluation.main} less {other}",
            {p: f"{d.value:+.4f} ({d.low:+.4f} to {d.high:+.4f})" for p, d in measured.items()},
        )
        for other, measured in evaluation.differences.items()
    ]


def _areas(evaluation: Evaluation, scorer: str) -> dict[str, Interval]:
    result = evaluation.results[scorer]
    found = {"auc": result.auc, "auc_same_sex": result.auc_same_sex}
    return {part: area for part, area in found.items() if area is not None}


def _row(name: str, cells: dict[str, str]) -> str:
    return f"| {name} | {' | '.join(cells.get(part, '-') for part in PARTS)} |"
