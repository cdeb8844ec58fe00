"""How late the event loop is."""

import asyncio
from typing import Final

from monitor.metrics import Metrics

LAG_SAMPLE_S: Final = 0.05


class LoopLag:
    """Measures how late the event loop is."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LAG_SAMPLE_S
            await asyncio.sleep(LAG_SAMPLE_S)
            self._metrics.loop_lagged(loop.time() - due_s)
