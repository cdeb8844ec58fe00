"""What OpenVINO leaves behind in the thread that used it first."""

import subprocess
import sys

SCRIPT = """
import signal, threading, time
from vfd.faces import MtcnnDetector

signal.signal(signal.SIGTERM, lambda *_: print("heard"))
held = [MtcnnDetector()]
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
signal.raise_signal(signal.SIGTERM)
time.sleep(0)
"""


def test_a_detector_dropped_by_another_thread_leaves_a_process_that_hears_signals() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n")
