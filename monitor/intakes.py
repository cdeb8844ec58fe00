"""Intakes (monitor.source) that several sources use."""

import asyncio

from monitor.media import Hearable
from monitor.source import Intake


class _Nothing:
    def hear(self, end_s: float) -> None:
        """There is nothing to hear."""


class Unheard:
    """Of somebody who sends nothing that can be taken: they are there, and every second of theirs
    has its reason."""

    def __init__(self) -> None:
        self.media: Hearable = _Nothing()

    async def run(self) -> str:
        """Until cancelled."""
        await asyncio.Event().wait()
        return ""

    async def close(self) -> None:
        """Nothing is open."""


class Watched:
    """`intake`, whose end is told by `ended`."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.media: Hearable = intake.media
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why; set once it has ended by itself."""

    async def run(self) -> str:
        """See `Intake.run`."""
        reason = "failed"
        try:
            reason = await self._intake.run()
        finally:
            if not self.ended.done():
                self.ended.set_result(reason)
        return reason

    async def close(self) -> None:
        """See `Intake.close`."""
        await self._intake.close()
