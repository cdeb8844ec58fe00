"""Keeps glibc's heap from creeping upwards under media.

Pictures, windows and packets of very different lifetimes hold one another's pages, in up to eight
heaps a core: what is in use is constant, what is resident grows by 3 MB a minute. Two heaps, whose
free pages go back every few seconds, stay flat. (Pages of its own for every large buffer would do
as well, at a tenth more CPU.)
"""

import asyncio
import ctypes
import gc
from concurrent.futures import Executor
from typing import Final

TRIM_EVERY_S: Final = 4.0
_M_ARENA_MAX: Final = -8  # malloc.h
_ARENAS: Final = 2


def bound_heap() -> bool:
    """Bounds the number of heaps, before any thread is started. False where the C library has no
    such switch: it is glibc's."""
    libc = ctypes.CDLL(None)
    return hasattr(libc, "mallopt") and bool(libc.mallopt(_M_ARENA_MAX, _ARENAS))


def trim_heap() -> None:
    """Gives free pages back, in 2 to 20 ms; nothing but on glibc."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


async def trim_heap_forever(executor: Executor) -> None:
    """`trim_heap` every TRIM_EVERY_S, in a thread of `executor`.

    What start-up made is taken out of the garbage collector's sight first: a full collection
    waits until a quarter as many objects have come, and half a million modules, schemas and
    functions would let the cycles of media accumulate for minutes.
    """
    loop = asyncio.get_running_loop()
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(TRIM_EVERY_S)
        await loop.run_in_executor(executor, trim_heap)
