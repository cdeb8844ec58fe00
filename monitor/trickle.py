"""Candidates that a publisher sends after its offer: trickle ICE over HTTP (RFC 8840, RFC 9725
section 4.3.2)."""

from dataclasses import dataclass
from typing import Final

from aiortc.sdp import candidate_from_sdp

from monitor.problems import Problem
from monitor.sdp import is_usable_candidate

MEDIA_TYPE: Final = "application/trickle-ice-sdpfrag"
MAX_LINES: Final = 512


@dataclass(frozen=True, slots=True)
class Fragment:
    """`ufrag`: of the ICE session that it belongs to, or asks for. `candidates`: as in SDP, without
    `a=candidate:`, only those that can be used; `count`: all of them. `ended`: there will be no
    more."""

    ufrag: str
    candidates: tuple[str, ...]
    count: int
    ended: bool


def parse_fragment(body: bytes) -> Fragment:
    """Raises Problem 400 naming the line."""
    try:
        lines = body.decode("ascii").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise Problem(400, "The body is not ASCII text; an SDP fragment was expected.") from error
    if len(lines) > MAX_LINES:
        raise Problem(400, f"The fragment has more than {MAX_LINES} lines.")
    ufrag, candidates, count = "", [], 0
    for number, line in enumerate(lines, start=1):
        _, _, value = line.partition(":")
        if line.startswith("a=ice-ufrag:"):
            ufrag = value
        elif line.startswith("a=candidate:"):
            count += 1
            if _is_candidate(value, number):
                candidates.append(value)
    if not ufrag:
        raise Problem(400, "The fragment has no a=ice-ufrag: which session is meant?")
    ended = any(line == "a=end-of-candidates" for line in lines)
    return Fragment(ufrag, tuple(candidates), count, ended)


def _is_candidate(value: str, number: int) -> bool:
    if not is_usable_candidate(value):
        return False
    try:
        candidate_from_sdp(value)
    except (ValueError, AssertionError, IndexError) as error:
        raise Problem(400, f"Line {number}: malformed a=candidate.") from error
    return True
