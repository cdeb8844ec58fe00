import dataclasses
import json
import math
from typing import Any

import pytest

from tests.fakes import DECISION
from vfd.operating import OperatingPoint, from_values

GRID = dataclasses.replace(
    DECISION,
    points=tuple(
        OperatingPoint(hours, people, identity=hours)
        for hours in (1.0, 10.0)
        for people in (3.0, 30.0)
    ),
)


def test_out_and_in_again() -> None:
    assert from_values(json.loads(json.dumps(dataclasses.asdict(GRID)))) == GRID


@pytest.mark.parametrize(
    ("asked", "found"),
    [((1.0, 3.0), (1.0, 3.0)), ((9.9, 30.0), (1.0, 30.0)), ((10.0, 29.0), (10.0, 3.0))],
)
def test_a_rate_between_two_that_were_fitted_takes_the_stricter(
    asked: tuple[float, float], found: tuple[float, float]
) -> None:
    point = GRID.point(*asked)
    assert (point.false_alarms_per_1000_hours, point.false_alarms_per_1000_people) == found


@pytest.mark.parametrize("asked", [(0.9, 3.0), (11.0, 3.0), (1.0, 2.9), (1.0, 31.0)])
def test_a_rate_beyond_the_table_is_refused_by_name_and_range(asked: tuple[float, float]) -> None:
    name = "people" if asked[0] == 1.0 else "hours"
    with pytest.raises(ValueError, match=rf"per_1000_{name} = .*: this calibration holds \d+ to"):
        GRID.point(*asked)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": "steep"}, "slope"),
        ({"slope": -1.0}, "slope must be positive"),
        ({"centre": None}, "centre"),
        ({"centre": math.nan}, "centre"),
        ({"people": True}, "people"),
        ({"points": []}, "points"),
        ({"points": {}}, "points: expected a list"),
        ({"points": [{}]}, r"points\[0\].*missing"),
        ({"colour": 1}, "'colour' is unknown"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_values(json.loads(json.dumps(dataclasses.asdict(GRID))) | change)
    with pytest.raises(ValueError, match="expected a table"):
        from_values([])
