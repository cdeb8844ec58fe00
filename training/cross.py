"""Models against test sets: trained on one, tested on another, which is the paper's central claim;
and one model against another on the same pairs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.accuracy_report import interval
from training.classifier import threshold_in
from training.evaluate import Protocol, score_checkpoint
from training.measures import Result, differences, result_of
from training.score_files import ScoreTable, common_rows
from vfd.intervals import Measured

Matrix = dict[tuple[str, str], Result]
"""By names of checkpoint and test set."""


def cross(checkpoints: Mapping[str, Path], tests: Mapping[str, Path], protocol: Protocol) -> Matrix:
    """Every checkpoint on every test set, each at the lambda in the checkpoint."""
    return {
        (name, test): result_of(
            score_checkpoint(checkpoint, folder, protocol)[1],
            threshold_in(checkpoint),
            protocol.resamples,
        )
        for name, checkpoint in checkpoints.items()
        for test, folder in tests.items()
    }


def matrix_markdown(matrix: Matrix) -> str:
    """A row for each model, a column for each test set: AUC with its interval and the coverage."""
    models = list(dict.fromkeys(model for model, _ in matrix))
    tests = list(dict.fromkeys(test for _, test in matrix))
    lines = [f"| AUC (coverage) | {' | '.join(tests)} |", "|-|" + "-|" * len(tests)]
    for model in models:
        cells = [_cell(matrix.get((model, test))) for test in tests]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(ours: Path, theirs: Path, folder: Path, protocol: Protocol) -> tuple[Measured, int]:
    """`ours` less `theirs` on the same pairs; see `compare_scores`."""
    tables = [score_checkpoint(c, folder, protocol)[1] for c in (ours, theirs)]
    lambdas = (threshold_in(ours), threshold_in(theirs))
    return compare_scores(tables[0], tables[1], protocol.resamples, lambdas)


def compare_scores(
    ours: ScoreTable,
    theirs: ScoreTable,
    resamples: int,
    thresholds: tuple[float | None, float | None] = (None, None),
) -> tuple[Measured, int]:
    """`ours` less `theirs` by a paired bootstrap over identities, and how many pairs both
    scored."""
    first, second = common_rows(ours, theirs)
    return differences(first, second, thresholds, resamples), len(first)


def difference_markdown(measured: Measured, pairs: int, names: Sequence[str]) -> str:
    """An interval that excludes zero is marked."""
    lines = [
        f"{names[0]} less {names[1]}, {pairs} pairs scored by both:",
        "",
        "| measure | difference | excludes zero |",
        "|-|-|-|",
    ]
    for name, value in measured.items():
        sure = "yes" if value.low > 0 or value.high < 0 else "no"
        lines.append(f"| {name} | {interval(value)} | {sure} |")
    return "\n".join(lines)


def _cell(result: Result | None) -> str:
    if result is None or result.auc is None:
        return "-"
    return f"{interval(result.auc)} ({100 * result.coverage:.0f} %)"
