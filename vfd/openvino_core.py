"""The one OpenVINO of this process."""

from functools import cache

import openvino as ov


@cache
def openvino_core() -> ov.Core:
    """Kept until the process ends.

    OpenVINO's CPU plugin gives the thread that makes it a stack for signals, and unmaps that stack
    with the last object that came of it. Where another thread drops that object, the first thread
    keeps a stack that is gone, and the next signal kills the process. OpenVINO 2026.4.
    """
    return ov.Core()
