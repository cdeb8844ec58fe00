"""Who is trained on, validated on and tested on: drawn once, written to a file, checked."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from training.clips import Clip, Split
from training.dataset import Dataset, Ratios
from training.drops import Drop, DroppedClip

_COLUMNS: Final = ["dataset", "identity", "split"]
_NAMED: Final = 10  # a message names so many and counts the rest

Assignment = Mapping[str, Split]
"""The split of every identity of one data set."""


class LeakError(ValueError):
    """People or clips are in two splits; the message names them."""


def draw_splits(dataset: Dataset, ratios: Ratios, seed: int) -> dict[str, Split]:
    """The same for the same identities and `seed`, in whatever order they come. Identities that
    share a source, or a fake unless `dataset.donors_apart`, stay together. Donors without a clip of
    their own are split as well."""
    if dataset.fixed:
        return dict(dataset.fixed)
    clips = [entry.clip for entry in dataset.entries]
    splits = _assigned(_groups(clips, with_donors=not dataset.donors_apart), ratios, seed)
    strangers = {donor for clip in clips for donor in clip.donors} - splits.keys()
    return splits | _assigned([[stranger] for stranger in strangers], ratios, seed)


def apply_splits(
    dataset: Dataset, splits: Assignment, any_donor: bool = False
) -> tuple[dict[Split, list[int]], list[DroppedClip]]:
    """Numbers of the entries of every split, and fakes left out because a donor belongs to another
    one (kept with `any_donor`).

    Raises ValueError when an identity has no split, LeakError when something is in two.
    """
    unknown = {e.clip.identity for e in dataset.entries} - splits.keys()
    if unknown:
        raise ValueError(f"the splits are not of {dataset.name}: they lack {_some(unknown)}")
    chosen: dict[Split, list[int]] = {split: [] for split in Split}
    left_out: list[DroppedClip] = []
    for number, entry in enumerate(dataset.entries):
        split = splits[entry.clip.identity]
        strangers = [d for d in entry.clip.donors if splits.get(d, split) is not split]
        if strangers and dataset.donors_apart and not any_donor:
            left_out.append(
                DroppedClip(entry.clip.clip, Drop.DONOR_IN_OTHER_SPLIT, ", ".join(strangers))
            )
        else:
            chosen[split].append(number)
    check_leaks(
        ((dataset.entries[n].clip, split) for split in chosen for n in chosen[split]),
        with_donors=not any_donor,
    )
    return chosen, left_out


def check_leaks(clips: Iterable[tuple[Clip, Split]], with_donors: bool = True) -> None:
    """Raises LeakError when an identity (donors of fakes counted unless told otherwise) or a source
    is in two splits. The same names in two data sets mean the same people only where they are
    linked on purpose; data sets are checked one by one."""
    seen: dict[tuple[str, str, str], set[Split]] = defaultdict(set)
    for clip, split in clips:
        people = (clip.identity, *clip.donors) if with_donors else (clip.identity,)
        for person in people:
            seen[clip.dataset, "identity", person].add(split)
        if clip.source:
            seen[clip.dataset, "source", clip.source].add(split)
    leaks = {
        f"{kind} {name} ({' and '.join(sorted(splits))})"
        for (_, kind, name), splits in seen.items()
        if len(splits) > 1
    }
    if leaks:
        raise LeakError(f"in more than one split: {_some(leaks)}")


def write_splits(path: Path, dataset: str, splits: Assignment) -> None:
    """A CSV file with columns dataset, identity, split, in the order of the identities."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows((dataset, identity, splits[identity]) for identity in sorted(splits))
    partial.replace(path)


def read_splits(path: Path, dataset: str) -> dict[str, Split]:
    """What `write_splits` wrote.

    Raises ValueError for a file of another data set or form, naming the line.
    """
    splits: dict[str, Split] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        if (header := next(rows, [])) != _COLUMNS:
            raise ValueError(f"{path}: columns are {header}, not {_COLUMNS}")
        for line, row in enumerate(rows, start=2):
            if len(row) != len(_COLUMNS) or row[2] not in set(Split):
                raise ValueError(f"{path}, line {line}: {row} is not dataset, identity, split")
            if row[0] != dataset:
                raise ValueError(f"{path}, line {line}: splits of {row[0]!r}, not of {dataset!r}")
            splits[row[1]] = Split(row[2])
    return splits


def _assigned(groups: list[list[str]], ratios: Ratios, seed: int) -> dict[str, Split]:
    """Groups in an order that the seed decides fill tests, then validation, then training."""
    groups.sort(key=lambda group: hashlib.sha256(f"{seed}\n{min(group)}".encode()).digest())
    wanted = _wanted(sum(map(len, groups)), len(groups), ratios)
    splits: dict[str, Split] = {}
    for group in groups:
        split = next((s for s in (Split.TEST, Split.VALIDATION) if wanted[s] > 0), Split.TRAIN)
        if not ratios.train and split is Split.TRAIN:
            split = Split.TEST if ratios.test else Split.VALIDATION
        wanted[split] -= len(group)
        splits |= dict.fromkeys(group, split)
    return splits


def _groups(clips: Sequence[Clip], with_donors: bool) -> list[list[str]]:
    """Identities that must stay together: connected by a source or a fake."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for clip in clips:
        linked = [f"source {clip.source}"] if clip.source else []
        linked += [f"identity {donor}" for donor in clip.donors] if with_donors else []
        own = root(f"identity {clip.identity}")
        for node in linked:
            parent[root(node)] = own
    groups: dict[str, list[str]] = defaultdict(list)
    for node in parent:
        kind, name = node.split(" ", 1)
        if kind == "identity":
            groups[root(node)].append(name)
    return list(groups.values())


def _wanted(identities: int, groups: int, ratios: Ratios) -> dict[Split, int]:
    """How many identities each split should have; none that is wanted stays empty while there are
    groups enough."""
    total = ratios.train + ratios.validation + ratios.test
    wanted = {Split.TRAIN: identities}
    for split, share in ((Split.VALIDATION, ratios.validation), (Split.TEST, ratios.test)):
        least = 1 if share and groups >= len(Split) else 0
        wanted[split] = max(least, round(identities * share / total))
    return wanted


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + more
