"""A user's own genuine calls, read from what the monitor said of them."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from monitor.media_open import is_url
from vfd.turns import Windows

MAX_OUTCOMES: Final = 2_000_000
"""550 participant-hours at one a second, some 400 MB; what comes after is not read."""
OUTCOMES: Final = ("score", "abstention")


class CallsError(Exception):
    """The calls cannot be used; the message names the file, the line and what was expected."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`similarity` None: an abstention."""

    end_s: float
    similarity: float | None
    jump: float


@dataclass(slots=True)
class Calls:
    """Outcomes in order, by call and participant."""

    streams: dict[tuple[str, str], list[Outcome]] = field(default_factory=dict)
    outcomes: int = 0

    @property
    def people(self) -> int:
        """One name in two calls is one person: taken for two, it would claim too much."""
        return len({participant for _, participant in self.streams})

    def hours(self, hop_s: float) -> float:
        """Participant-hours, silence included."""
        return self.outcomes * hop_s / 3_600

    def windows(self) -> Windows:
        """Those that were scored."""
        rows = [
            (o.similarity, participant, f"{call}\n{participant}", o.end_s, o.jump)
            for (call, participant), outcomes in self.streams.items()
            for o in outcomes
            if o.similarity is not None
        ]
        if not rows:
            raise CallsError("there is no score in these calls")
        score, person, stream, time_s, jump = zip(*rows, strict=True)
        return Windows(
            np.array(score), np.array(person), np.array(stream), np.array(time_s), np.array(jump)
        )


def read_calls(source: str, token: str, seconds: float) -> Calls:
    """Of a file of events or of `watch --json`, or of /v1/events at a URL, to which it listens for
    `seconds`. Raises CallsError."""
    calls = Calls()
    try:
        with _lines(source, token, seconds) as lines:
            for number, line in enumerate(lines, 1):
                _take(calls, line, f"{source}:{number}")
                if calls.outcomes >= MAX_OUTCOMES:
                    break
    except (OSError, UnicodeDecodeError) as error:
        raise CallsError(f"{source}: cannot be read ({error})") from error
    except httpx.HTTPError as error:
        raise CallsError(f"{source}: {str(error) or type(error).__name__}") from error
    return calls


@contextmanager
def _lines(source: str, token: str, seconds: float) -> Iterator[Iterable[str]]:
    """Each the JSON of one event, or empty."""
    if not is_url(source):
        with Path(source).open() as file:
            yield file
        return
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.stream("GET", source, headers=headers, timeout=60, trust_env=False) as response:
        if response.status_code != httpx.codes.OK:
            raise CallsError(f"{source}: answered {response.status_code}, not 200")
        yield _until(response.iter_lines(), time.monotonic() + seconds)


def _until(lines: Iterator[str], end_s: float) -> Iterator[str]:
    """The data of server-sent events; heartbeats come often enough to notice the end."""
    for line in lines:
        if time.monotonic() >= end_s:
            return
        yield line.removeprefix("data:") if line.startswith("data:") else ""


def _take(calls: Calls, line: str, where: str) -> None:
    if not line.strip():
        return
    try:
        event = json.loads(line)
    except json.JSONDecodeError as error:
        raise CallsError(f"{where}: is no JSON ({error.msg})") from None
    if not isinstance(event, dict) or event.get("type") not in OUTCOMES:
        return
    key = str(event.get("call")), str(event.get("participant"))
    outcome = Outcome(
        _number(event, "end_s", where, -np.inf, np.inf),
        _number(event, "similarity", where, -1, 1) if event["type"] == "score" else None,
        _number(event, "jump", where, 0, 2) if event.get("jump") is not None else 0.0,
    )
    calls.streams.setdefault(key, []).append(outcome)
    calls.outcomes += 1


def _number(event: dict[str, Any], name: str, where: str, low: float, high: float) -> float:
    value = event.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
        number = float(value)
        if low <= number <= high:
            return number
    raise CallsError(f"{where}: {name} is {value!r}")
