"""Who publishes to the monitor right now: at most one peer connection for every participant."""

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from monitor.attendance import Attendance
from monitor.media import Hearable
from monitor.problems import RETRY_AFTER_S, Problem
from monitor.receiver import Receiver
from monitor.sessions import Session, TooManyParticipants
from vfd.types import ParticipantKey

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Publication:
    """One peer's stream. `id` is part of its address, `token` lets its owner take over with a new
    connection; neither can be guessed."""

    key: ParticipantKey
    receiver: Receiver
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    etag: str = field(default_factory=lambda: f'"{secrets.token_urlsafe(8)}"')
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    task: asyncio.Task[None] | None = None


class Publications:
    """Opens, replaces and ends publications, and lets their sessions join and leave with them."""

    def __init__(self, attendance: Attendance, new_receiver: Callable[[Session], Receiver]) -> None:
        self._attendance = attendance
        self._new_receiver = new_receiver
        self._live: dict[ParticipantKey, Publication] = {}
        self._negotiating: set[ParticipantKey] = set()
        self._closed = False

    async def publish(self, key: ParticipantKey, offer: str, token: str) -> tuple[Publication, str]:
        """The new publication and the SDP answer to `offer`.

        With the `token` of the live publication it takes that one's place and the session goes on;
        if the offer fails, the old one stays. Raises Problem.
        """
        self._check_free(key, token)
        self._negotiating.add(key)
        try:
            return await self._open(key, offer)
        finally:
            self._negotiating.discard(key)
            await self._release(key)

    async def end(self, key: ParticipantKey, publication_id: str) -> None:
        """Ends a publication at its publisher's wish. Raises Problem 404 if it is not live."""
        await self._stop(self.find(key, publication_id))

    def find(self, key: ParticipantKey, publication_id: str) -> Publication:
        """Raises Problem 404 if it is not live."""
        publication = self._live.get(key)
        if not publication or not _equal(publication.id, publication_id):
            raise Problem(404, "There is no such session; it may have ended.")
        return publication

    def media(self) -> list[Hearable]:
        """Of the live publications."""
        return [publication.receiver.media for publication in self._live.values()]

    async def close(self) -> None:
        """Ends every publication and takes no more."""
        self._closed = True
        await asyncio.gather(*(self._stop(p) for p in list(self._live.values())))

    def _check_free(self, key: ParticipantKey, token: str) -> None:
        if self._closed:
            raise _overloaded("The monitor is shutting down.")
        if key in self._negotiating:
            raise Problem(409, "This participant is joining already.")
        live = self._live.get(key)
        if live and not _equal(live.token, token):
            raise Problem(
                409,
                "This participant is live. To take over, send the VFD-Session-Token that its "
                "session was given.",
            )

    async def _open(self, key: ParticipantKey, offer: str) -> tuple[Publication, str]:
        try:
            session = self._attendance.join(key, self)
        except TooManyParticipants as error:
            raise _overloaded(f"The monitor is full: {error}.") from error
        except KeyError as error:
            raise Problem(409, "The monitor joined a call with this participant.") from error
        receiver = self._new_receiver(session)
        answer = await receiver.answer(offer)
        if self._closed:
            await receiver.close()
            raise _overloaded("The monitor is shutting down.")
        publication = Publication(key, receiver)
        before = self._live.get(key)
        self._live[key] = publication
        publication.task = asyncio.create_task(
            self._run(publication), name=f"publication {key.call}/{key.participant}"
        )
        if before:
            await self._stop(before)
            logger.info("taken over", extra=key._asdict())
        self._attendance.announce(session)
        return publication, answer

    async def _run(self, publication: Publication) -> None:
        try:
            reason = await publication.receiver.run()
        except Exception:
            logger.exception("receiver failed", extra=publication.key._asdict())
            reason = "failed"
        await self._forget(publication, reason)

    async def _stop(self, publication: Publication) -> None:
        assert publication.task is not None
        publication.task.cancel()
        await asyncio.gather(publication.task, return_exceptions=True)
        await (
            publication.receiver.close()
        )  # a task that is cancelled before it began closed nothing
        await self._forget(publication, "ended")

    async def _forget(self, publication: Publication, reason: str) -> None:
        key = publication.key
        if self._live.get(key) is publication:
            del self._live[key]
            logger.info("left", extra={**key._asdict(), "reason": reason})
            await self._release(key)

    async def _release(self, key: ParticipantKey) -> None:
        """Lets the session go unless somebody publishes for it or is about to."""
        if key in self._live or key in self._negotiating:
            return
        await self._attendance.leave(key, self)


def _overloaded(detail: str) -> Problem:
    return Problem(503, detail, {"Retry-After": str(RETRY_AFTER_S)})


def _equal(secret: str, given: str) -> bool:
    return hmac.compare_digest(secret.encode(), given.encode())
