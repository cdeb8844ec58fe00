"""Fixtures that every test shares: nothing may be left behind, and real media when there is any."""

import asyncio
import gc
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from hypothesis import settings

settings.register_profile("tests", deadline=None, database=None, derandomize=True)
settings.load_profile("tests")

SETTLE_S = 3.0  # what a closed socket or a finished thread may still need


def _descriptors() -> dict[int, str]:
    """Open file descriptors by what they point to; the interpreter's own event fds included."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = os.readlink(entry)
        except OSError:  # the descriptor that lists the folder is gone by now
            continue
    return found


def _threads() -> set[threading.Thread]:
    """Without the event loop's own pool (name look-ups), which ends with the loop, after this."""
    return {t for t in threading.enumerate() if not t.name.startswith("asyncio_")}


def _children() -> set[int]:
    return {p.pid for p in psutil.Process().children(recursive=True)}


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails the test that leaves a thread, a file descriptor or a child process behind."""
    threads, descriptors, children = _threads(), _descriptors(), _children()
    yield
    deadline = time.monotonic() + SETTLE_S
    left: list[str] = []
    while True:
        gc.collect()
        left = [f"thread {t.name}" for t in _threads() - threads]
        left += [
            f"descriptor {fd} -> {target}"
            for fd, target in _descriptors().items()
            if fd not in descriptors and _is_ours(target)
        ]
        left += [f"process {pid}" for pid in _children() - children]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert not left, f"{request.node.name} left behind: {', '.join(left)}"


def _is_ours(target: str) -> bool:
    """Files that libraries keep open for good (shared objects, devices) are not a test's leak."""
    return target.startswith(("socket:", "pipe:")) or (
        target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/sys/", "/usr/lib"))
    )


@pytest_asyncio.fixture(autouse=True)
async def no_stray_task(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Fails the test that leaves an asyncio task running."""
    before = asyncio.all_tasks()
    yield
    stray = asyncio.all_tasks() - before - {asyncio.current_task()}
    if stray:
        _, stray = await asyncio.wait(stray, timeout=SETTLE_S)
    assert not stray, f"{request.node.name} left tasks: {[t.get_name() for t in stray]}"


@pytest.fixture(scope="session", autouse=True)
def own_model_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled models go where they are removed again; commands that tests start inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test meets the alerts of another one, or those of the user's own monitor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def media() -> list[Path]:
    """Real talking clips, from the folder that VFD_TEST_MEDIA names."""
    folder = os.environ.get("VFD_TEST_MEDIA")
    if not folder:
        pytest.skip("VFD_TEST_MEDIA is unset: name a folder of short talking clips (*.mpg)")
    clips = sorted(Path(folder).glob("*.mpg"))
    assert clips, f"VFD_TEST_MEDIA={folder} holds no *.mpg"
    return clips
