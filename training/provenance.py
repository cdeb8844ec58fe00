"""What a result says about how it was made."""

import shlex
import subprocess
import sys
from pathlib import Path


def command() -> str:
    """What was typed, to be repeated; folders outside the working one by their last name alone."""
    words = [_neutral(word) for word in sys.argv[1:]]
    return shlex.join(["vfd-train", *words])


def commit() -> str:
    """The commit of the code that runs, or "unknown" outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _neutral(word: str) -> str:
    """An absolute path says where somebody keeps their files, which is nobody's business."""
    name, equals, value = word.rpartition("=")
    return f"{name}{equals}{Path(value).name}" if value.startswith("/") else word
