"""The file in which a user's own calibration stands beside a checkpoint, which stays untouched."""

import dataclasses
import json
from pathlib import Path
from typing import Final

from vfd.operating import DecisionModel, from_values

FORMAT: Final = 1


def write_override(path: Path, model: DecisionModel, sha256: str, source: str) -> None:
    """`sha256` of the checkpoint whose scores these are; `source`: what it was fitted to. Raises
    OSError."""
    content = {
        "format": FORMAT,
        "checkpoint_sha256": sha256,
        "source": source,
        "decision": dataclasses.asdict(model),
    }
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(content, indent=1) + "\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_override(path: Path, sha256: str) -> DecisionModel:
    """Raises OSError, and ValueError for a file of another kind, or of other weights than those of
    `sha256`: their scores fall elsewhere."""
    try:
        content = json.loads(path.read_text())
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("is not what `vfd-monitor calibrate` writes (no JSON)") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"is not what `vfd-monitor calibrate` writes (format {FORMAT})")
    if content.get("checkpoint_sha256") != sha256:
        raise ValueError("was fitted to the scores of other weights; calibrate again")
    return from_values(content.get("decision"))
