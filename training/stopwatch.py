"""Where the processor time of a worker goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """CPU seconds of this process by stage, in `seconds`. Stages do not overlap."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds what the block takes to stage `name`."""
        started = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - started
