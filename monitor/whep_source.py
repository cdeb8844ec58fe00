"""A stream that is played to us over WHEP (draft-ietf-wish-whep): one participant.

We offer to receive; a server that would rather make the offer itself answers 406 with it.
"""

import asyncio
import contextlib
import logging
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from monitor.call_urls import CallUrl
from monitor.intakes import Watched
from monitor.problems import Problem
from monitor.receiver import Receiver
from monitor.sdp import accept_offer
from monitor.source import Room, SourceError, Trouble
from monitor.stream_probe import check_redirect

PARTICIPANT: Final = "stream"
TIMEOUT_S: Final = 10.0
GOODBYE_S: Final = 1.0
MAX_REDIRECTS: Final = 5
MAX_CANDIDATES: Final = 64
MAX_BODY_BYTES: Final = 262_144
SDP: Final = "application/sdp"
TROUBLES: Final = {
    401: Trouble.REFUSED,
    403: Trouble.REFUSED,
    404: Trouble.NOT_FOUND,
    409: Trouble.NOT_FOUND,  # nobody publishes yet
    415: Trouble.UNSUPPORTED,
    422: Trouble.UNSUPPORTED,
    503: Trouble.FULL,
}

logger = logging.getLogger(__name__)


class WhepSource:
    """A `Source` (monitor.source)."""

    def __init__(self, url: CallUrl, *, private_redirects: bool) -> None:
        self._url = url
        self._private_redirects = private_redirects
        parts = urlsplit(url.url)
        user, _, place = parts.netloc.rpartition("@")
        scheme = parts.scheme.removeprefix("whep+")
        self._endpoint = urlunsplit((scheme, place, parts.path, parts.query, ""))
        self._headers = {"Authorization": f"Bearer {unquote(user)}"} if user else {}

    async def run(self, room: Room) -> None:
        """See `Source.run`."""
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client,
            contextlib.AsyncExitStack() as stack,
        ):
            intake = Watched(await self._play(client, room, stack))
            room.follow(PARTICIPANT, intake)
            room.entered()
            reason = await intake.ended
        raise SourceError(Trouble.LOST, f"the stream ended ({reason})")

    async def _play(
        self, client: httpx.AsyncClient, room: Room, stack: contextlib.AsyncExitStack
    ) -> Receiver:
        """What will receive the stream; `stack` says goodbye to the server."""
        receiver = room.receiver(PARTICIPANT)
        stack.push_async_callback(receiver.close)
        try:
            offer = await receiver.offer()
            answer = await self._ask(client, "POST", self._endpoint, offer, takes=(201, 406))
            resource = await self._sent_on(answer)
            stack.push_async_callback(self._leave, client, resource)
            remote = accept_offer(answer.content, MAX_CANDIDATES)
            if answer.status_code == httpx.codes.CREATED:
                if _is_offer(remote):  # and it takes no answer to it
                    raise SourceError(
                        Trouble.UNSUPPORTED,
                        "the server answers our offer with another, as older versions of Janus do "
                        "for what is streamed to them",
                    )
                await receiver.accept(remote)
                return receiver
            await receiver.close()  # what it offered is void
            receiver = room.receiver(PARTICIPANT)
            stack.push_async_callback(receiver.close)
            await self._ask(
                client, "PATCH", resource, await receiver.answer(remote), takes=(200, 204)
            )
        except Problem as problem:
            raise SourceError(Trouble.UNSUPPORTED, problem.detail) from problem
        return receiver

    async def _leave(self, client: httpx.AsyncClient, resource: str) -> None:
        with contextlib.suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await client.delete(resource, headers=self._own_headers(resource))

    async def _ask(
        self, client: httpx.AsyncClient, method: str, url: str, sdp: str, takes: tuple[int, ...]
    ) -> httpx.Response:
        for _ in range(MAX_REDIRECTS):
            headers = {"Content-Type": SDP, "Accept": SDP, **self._own_headers(url)}
            response = await _send(client, method, url, headers, sdp)
            if response.status_code not in (307, 308):
                break
            url = await self._sent_on(response)
        else:
            raise SourceError(Trouble.PROTOCOL, f"redirected more than {MAX_REDIRECTS} times")
        status = response.status_code
        if status not in takes:
            trouble = TROUBLES.get(status, Trouble.PROTOCOL)
            raise SourceError(trouble, f"the server answers {status}")
        return response

    async def _sent_on(self, response: httpx.Response) -> str:
        """Where `response` says that we should go on. Raises SourceError."""
        try:
            place = response.url.join(response.headers.get("location", ""))
        except (httpx.InvalidURL, UnicodeError) as error:
            raise SourceError(Trouble.PROTOCOL, "sent on to what is no address") from error
        await check_redirect(
            response.url, place, self._url, private_redirects=self._private_redirects
        )
        return str(place)

    def _own_headers(self, url: str) -> dict[str, str]:
        """The token is for the server that was named, and for no other."""
        named, asked = urlsplit(self._endpoint), urlsplit(url)
        same = (named.scheme, named.netloc) == (asked.scheme, asked.netloc)
        return self._headers if same else {}


async def _send(
    client: httpx.AsyncClient, method: str, url: str, headers: dict[str, str], sdp: str
) -> httpx.Response:
    try:
        request = client.stream(method, url, headers=headers, content=sdp)
        async with request as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise SourceError(Trouble.PROTOCOL, "the answer is too long to be SDP")
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            content=bytes(body),
            request=response.request,
        )
    except httpx.HTTPError as error:
        if _is_tls(error):
            raise SourceError(Trouble.TLS_FAILED, f"TLS failed: {error}"[:200]) from error
        why = str(error) or type(error).__name__
        raise SourceError(Trouble.UNREACHABLE, f"cannot be reached: {why}"[:200]) from error
    except (httpx.InvalidURL, UnicodeError) as error:
        raise SourceError(Trouble.PROTOCOL, "sent on to what is no address") from error


def _is_offer(sdp: str) -> bool:
    """An answer decides who begins DTLS (RFC 8842 section 5.3)."""
    return "\r\na=setup:actpass\r\n" in sdp


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
