import platform
import subprocess
import sys

import pytest

FREED_PICTURES = """
import sys
from monitor.heap import bound_heap
if sys.argv[1] == "bounded":
    assert bound_heap()
def resident_kb():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1])
bytearray(20_000_000)  # what the allocator learns from
before = resident_kb()
kept = []
for _ in range(8):
    pictures = []
    for _ in range(40):
        pictures.append(bytearray(b"x" * 100_000))
        kept.append(bytearray(b"y" * 600))
    del pictures
print(resident_kb() - before)
"""


def growth_kb(mode: str) -> int:
    command = [sys.executable, "-c", FREED_PICTURES, mode]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the switch")
def test_freed_pictures_do_not_stay_resident_behind_small_things() -> None:
    assert growth_kb("bounded") < 1_500
    assert growth_kb("as it is") > 3_000
