"""Which rows of a table of scores to look at apart: by what was done to them and by who they are.

Every slice names its condition. Real pairs stand in every slice by a kind of fakes, since they
are of none; a row of which an attribute is unknown stands in no slice by it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.measures import same_sex
from training.score_files import Bools, Floats, ScoreTable, Strings

CATEGORIES: Final = ("line", "race", "sex", "method", "video_codec")
MANIPULATION: Final = "manipulation"
KINDS_OF_FAKES: Final = (MANIPULATION, "forged")
EDGES: Final = {
    "video_bit_rate": (150e3, 300e3, 600e3, 1.2e6, 2.5e6),  # bits a second
    "audio_bit_rate": (12e3, 20e3, 40e3),
    "height": (240.0, 480.0, 720.0),  # of the picture, pixels
    "eye_distance_px": (24.0, 48.0, 96.0),
    "speech": (0.3, 0.6, 0.9),  # share of the window
    "loss": (0.01, 0.03, 0.1),  # share of the packets
}
DARK: Final = 0.25  # mean luma of the face in [0, 1]; the monitor gives up at 0.12
TURNED: Final = 0.25  # as vfd.quality.head_turn; the monitor gives up at 0.45
EDITED: Final = "attribute"  # in the name of a manipulation that leaves the identity as it is
FEWEST: Final = 2  # values of a category: with one, the slice is the whole


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Rows, those without a score included, and what they have in common."""

    attribute: str
    condition: str
    rows: Bools


def slices(table: ScoreTable) -> Iterator[Slice]:
    """All that the attributes of the table allow, none of them empty."""
    same = same_sex(table)
    if same is not None:
        yield Slice("negatives", "of the same sex", np.asarray(same))
    for name in KINDS_OF_FAKES:
        if name in table.attributes:
            yield from _by_kind(name, table)
    for name in CATEGORIES:
        if name in table.attributes:
            yield from _by_value(name, table.attributes[name])
    for name, edges in EDGES.items():
        if name in table.attributes:
            yield from _by_range(name, numbers(table.attributes[name]), edges)
    yield from _failure_cases(table)


def numbers(column: Strings) -> Floats:
    """NaN for what is empty or no number."""
    values = np.full(len(column), np.nan)
    for row, text in enumerate(column.tolist()):
        try:
            values[row] = float(text) if text else np.nan
        except ValueError:
            continue  # a word where others have a number: unknown
    return values


def _by_kind(name: str, table: ScoreTable) -> Iterator[Slice]:
    column = table.attributes[name]
    for value in np.unique(column[~table.real & (column != "")]).tolist():
        yield Slice(name, value, np.asarray(table.real | (column == value)))


def _by_value(name: str, column: Strings) -> Iterator[Slice]:
    values = [value for value in np.unique(column).tolist() if value]
    if len(values) >= FEWEST:
        for value in values:
            yield Slice(name, value, np.asarray(column == value))


def _by_range(name: str, values: Floats, edges: tuple[float, ...]) -> Iterator[Slice]:
    """From one edge, itself included, to the next. Nothing when all lie between the same two."""
    place = np.searchsorted(edges, values, side="right")  # NaN sorts last, and is taken out below
    known = ~np.isnan(values)
    taken = np.unique(place[known])
    if len(taken) < FEWEST:
        return
    for k in taken.tolist():
        low = f"{edges[k - 1]:g}" if k > 0 else None
        high = f"{edges[k]:g}" if k < len(edges) else None
        condition = f"below {high}" if low is None else f"{low} and more"
        if low is not None and high is not None:
            condition = f"{low} to {high}"
        yield Slice(name, condition, np.asarray(known & (place == k)))


def _failure_cases(table: ScoreTable) -> Iterator[Slice]:
    """Where the paper sees its model fail (Fig. 10)."""
    brightness, yaw = (
        numbers(table.attributes[name]) if name in table.attributes else np.full(len(table), np.nan)
        for name in ("brightness", "yaw")
    )
    cases = [
        Slice("failure case", f"dark: brightness below {DARK}", np.asarray(brightness < DARK)),
        Slice("failure case", f"turned: yaw beyond {TURNED}", np.asarray(np.abs(yaw) > TURNED)),
    ]
    column = table.attributes.get(MANIPULATION)
    if column is not None:
        edited = np.char.find(np.char.lower(column), EDITED) >= 0
        if edited.any():
            cases.append(Slice("failure case", "attributes edited", table.real | edited))
    yield from (case for case in cases if case.rows.any())
