"""What this machine has, found without loading a large library."""

import ctypes
from pathlib import Path


def nvidia_driver_visible() -> bool:
    """Whether a GPU engine could run at all: so that a monitor on a CPU never loads torch to find
    out. A device file is not always there (WSL), the driver's library is."""
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
