"""Why a clip is not among the prepared ones. Every clip of a data set is prepared or dropped."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Drop(StrEnum):
    """Closed: every clip left out is counted under one of these."""

    LEFT_OUT = "left_out"  # its identity belongs to another set's test people
    NOT_ALLOWED = "not_allowed"  # not on the allow-list
    DUPLICATE_ROW = "duplicate_row"
    DONOR_IN_OTHER_SPLIT = "donor_in_other_split"
    MISSING_FILE = "missing_file"
    EMPTY_FILE = "empty_file"
    UNREADABLE = "unreadable"
    CORRUPT = "corrupt"
    NO_AUDIO = "no_audio"
    NO_VIDEO = "no_video"
    NO_SPEECH = "no_speech"
    TOO_SHORT = "too_short"
    SEVERAL_PEOPLE = "several_people"
    NO_FACE = "no_face"


@dataclass(frozen=True, slots=True)
class DroppedClip:
    """`clip` as the data set names it, and `detail` for a person to read."""

    clip: str
    reason: Drop
    detail: str = ""


class DropError(Exception):
    """This clip cannot be prepared; others can."""

    def __init__(self, reason: Drop, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


def by_reason(dropped: Iterable[DroppedClip]) -> dict[str, int]:
    """How many for each reason, most frequent first."""
    return dict(Counter(str(clip.reason) for clip in dropped).most_common())
