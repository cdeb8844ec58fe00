"""What became of a data set: how many clips, what was dropped and why, and what it cost."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from training.drops import DroppedClip, by_reason
from training.shard_files import ShardHeader, parse_row

DROPPED: Final = "dropped.csv"
_NAMED: Final = 10  # a report names so many and counts all


def write_report(
    path: Path,
    dataset: str,
    headers: Sequence[ShardHeader],
    dropped: Sequence[DroppedClip],
    wall_s: float,
) -> dict[str, Any]:
    """Writes `path` (JSON) and DROPPED beside it, one line a clip; returns what it wrote.

    `dropped`: those that never came to a worker. `wall_s`: of this run, which may have been the
    last of several; all other costs are of all runs.
    """
    everything = [*dropped, *(d for header in headers for d in header.dropped)]
    _write_dropped(path.with_name(DROPPED), everything)
    singles = _singles(path.parent, headers)
    prepared = sum(header.clips for header in headers)
    tried = prepared + sum(len(header.dropped) for header in headers)
    cpu_s = sum(header.cpu_s for header in headers)
    stages = sum((Counter(header.stages_s) for header in headers), Counter[str]())
    report = {
        "dataset": dataset,
        "clips": prepared,
        "clips_of_split": _of_split(headers),
        "dropped": by_reason(everything),
        "single_clip_identities": len(singles),
        "single_clip_names": singles[:_NAMED],
        "bytes": sum(header.size for header in headers),
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "clips_per_s_per_core": round(tried / cpu_s, 2) if cpu_s else None,
        "share_of_cpu": {name: round(s / cpu_s, 3) for name, s in stages.most_common() if cpu_s},
    }
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(report, indent=1) + "\n")
    partial.replace(path)
    return report


def as_text(report: dict[str, Any]) -> str:
    """For a person."""
    lines = [f"{report['dataset']}: {report['clips']} clips prepared"]
    lines += [f"  {split}: {count}" for split, count in report["clips_of_split"].items()]
    lines += [f"  dropped, {reason}: {count}" for reason, count in report["dropped"].items()]
    if report["single_clip_identities"]:
        some = ", ".join(report["single_clip_names"])
        lines.append(
            f"  identities with a single real clip: {report['single_clip_identities']} ({some} ...)"
        )
    shares = ", ".join(f"{name} {share:.0%}" for name, share in report["share_of_cpu"].items())
    lines.append(f"  {report['clips_per_s_per_core']} clips/s/core ({shares})")
    return "\n".join(lines)


def _of_split(headers: Sequence[ShardHeader]) -> dict[str, int]:
    counts = Counter[str]()
    for header in headers:
        counts[header.shard.rsplit("-", 1)[0]] += header.clips
    return dict(counts)


def _singles(folder: Path, headers: Sequence[ShardHeader]) -> list[str]:
    """Identities of whom one real clip is left: their positive pairs are all of one recording."""
    clips = Counter[str]()
    for header in headers:
        with (folder / header.shard).with_suffix(".jsonl").open() as file:
            next(file)
            for row in file:
                record, _ = parse_row(row)
                clips[record.clip.identity] += not record.clip.fake
    return sorted(identity for identity, count in clips.items() if count == 1)


def _write_dropped(path: Path, dropped: Sequence[DroppedClip]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "reason", "detail"])
        writer.writerows((d.clip, d.reason, d.detail) for d in dropped)
