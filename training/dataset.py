"""A data set as its reader found it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from training.clips import Split
from training.drops import DroppedClip
from training.samples import Entry


@dataclass(frozen=True, slots=True)
class Ratios:
    """Shares of the identities; only their proportions count. Raises ValueError when one is
    negative or all are zero."""

    train: float
    validation: float
    test: float

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if min(shares) < 0 or not sum(shares):
            raise ValueError(f"ratios {shares}: none may be negative, one must be positive")


@dataclass(frozen=True, slots=True)
class Dataset:
    """`dropped` is what the reader itself left out. `ratios` are the paper's. `fixed` says the
    split of every identity where the set brings its own. `donors_apart`: whether people who lent a
    face or a voice are too entangled to be kept together with those they lent it to; fakes with a
    donor of another split are then left out instead. `made_from` is what decides the media beyond
    the clips, for sets that are not files."""

    name: str
    entries: tuple[Entry, ...]
    dropped: tuple[DroppedClip, ...]
    ratios: Ratios
    fixed: Mapping[str, Split] = field(default_factory=dict)
    donors_apart: bool = False
    made_from: str = ""

    def __post_init__(self) -> None:
        if not self.entries:
            raise ValueError(f"{self.name}: not one clip was found")
        seen = set[str]()
        for entry in self.entries:
            if entry.clip.clip in seen:
                raise ValueError(f"{self.name}: two clips are called {entry.clip.clip!r}")
            seen.add(entry.clip.clip)
