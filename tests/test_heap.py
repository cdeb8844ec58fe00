import platform
import subprocess
import sys

import pytest

FREED_PICTURES = """
from monitor.heap import bound_heap, trim_heap
def resident_kb():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1])
assert bound_heap()
before = resident_kb()
pictures = [bytearray(b"x" * 100_000) for _ in range(100)]
last = bytearray(b"y" * 100_000)  # above them all in the heap, which cannot shrink below it
del pictures
held = resident_kb()
trim_heap()
print(held - before, resident_kb() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the switches")
def test_freed_pictures_do_not_stay_resident_below_what_is_in_use() -> None:
    command = [sys.executable, "-c", FREED_PICTURES]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    held_kb, trimmed_kb = map(int, output.split())
    assert held_kb > 5_000
    assert trimmed_kb < 1_500
