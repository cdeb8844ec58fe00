"""Who takes part right now, whichever way they came: sessions begin, pause and end here."""

import logging
from collections.abc import Awaitable, Callable

from monitor.sessions import Registry, Session
from vfd.types import ParticipantKey

logger = logging.getLogger(__name__)


class Attendance:
    """Lets participants join, leave, and be away for a while. Belongs to the event loop.

    `on_joined` and `on_left` hear of everybody who comes and goes, also for a while; `on_gone` of
    those who will not be known again.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], float],
        on_joined: Callable[[Session], None],
        on_left: Callable[[Session], None],
        on_gone: Callable[[Session], Awaitable[object]],
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._on_joined = on_joined
        self._on_left = on_left
        self._on_gone = on_gone
        self._owners: dict[ParticipantKey, object] = {}
        self._announced: set[ParticipantKey] = set()

    def join(self, key: ParticipantKey, owner: object) -> Session:
        """The session of `key`, which is `owner`'s from now on; what was known is kept where it is
        not too old. Raises TooManyParticipants, or KeyError if another owner has it."""
        if self._owners.get(key, owner) is not owner:
            raise KeyError(key)
        session = self._registry.join(key, self._clock())
        self._owners[key] = owner
        return session

    def announce(self, session: Session) -> None:
        """Its media is on its way; nothing happens if that was said before."""
        if session.key not in self._announced:
            self._announced.add(session.key)
            logger.info("joined", extra=session.key._asdict())
            self._on_joined(session)

    async def leave(self, key: ParticipantKey, owner: object) -> None:
        """Forgets `key`, if it is `owner`'s."""
        if self._owners.get(key) is not owner:
            return
        del self._owners[key]
        session = self._registry.leave(key)
        if session is not None and key in self._announced:
            self._announced.discard(key)
            await self._on_gone(session)
            self._on_left(session)

    def suspend(self, key: ParticipantKey, owner: object) -> None:
        """Nobody can look at `key` for a while, if it is `owner`'s; see `Registry.suspend`."""
        if self._owners.get(key) is not owner:
            return
        del self._owners[key]
        session = self._registry.suspend(key, self._clock())
        if session is not None and key in self._announced:
            self._announced.discard(key)
            self._on_left(session)

    async def forget(self) -> None:
        """Lets those go who have been away for too long; to be called now and then."""
        for session in self._registry.expired(self._clock()):
            await self._on_gone(session)
