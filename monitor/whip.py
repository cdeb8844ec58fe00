"""WebRTC-HTTP ingestion (WHIP, RFC 9725): one POST with an offer, one answer. Candidates may come
after the offer; ours are all in the answer.

It is an application of its own because, unlike everything else that is served, pages from other
origins may use it (section 4.6 and the CORS requirement of section 4.2).
"""

import asyncio
import re
from collections.abc import Callable

from fastapi import Depends, FastAPI, Request, Response
from starlette.middleware.cors import CORSMiddleware

from monitor.config import Config
from monitor.problems import Problem, install_problem_handlers
from monitor.publications import Publication, Publications
from monitor.sdp import accept_offer
from monitor.trickle import MEDIA_TYPE, parse_fragment
from vfd.types import ParticipantKey

TOKEN_HEADER = "VFD-Session-Token"
NAME = re.compile(r"[A-Za-z0-9._~-]{1,64}")  # RFC 3986 unreserved: the same in every encoding
BODY_TIMEOUT_S = 10.0  # 64 kB take less on any line that can carry video
PREFLIGHT_MAX_AGE_S = 600
DISCARDED_BYTES = 1_048_576
CLOSE = {"Connection": "close"}  # what is left of the body is not read
ENDPOINT = "/{call}/{participant}"
RESOURCE = "/{call}/{participant}/{publication_id}"
OFFER_TYPE = "application/sdp"
RESOURCE_ALLOWS = "PATCH, DELETE, OPTIONS"


def create_whip_app(
    publications: Publications, config: Config, check_token: Callable[[Request], None]
) -> FastAPI:
    """To be mounted at /whip. `check_token` raises Problem for a request without the token."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    install_problem_handlers(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["POST", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=["Location", "ETag", "Link", "Accept-Patch", TOKEN_HEADER],
        max_age=PREFLIGHT_MAX_AGE_S,
    )
    protected = [Depends(check_token)]

    @app.post(ENDPOINT, dependencies=protected)
    async def publish(request: Request, call: str, participant: str) -> Response:
        key = _key(call, participant)
        _check_content_type(request, OFFER_TYPE)
        body = await read_body(request, config.server.max_body_bytes)
        offer = accept_offer(body, config.whip.max_candidates)
        token = request.headers.get(TOKEN_HEADER, "")
        publication, answer = await publications.publish(key, offer, token)
        headers = {
            "Location": f"/whip/{call}/{participant}/{publication.id}",
            "ETag": publication.etag,
            "Accept-Patch": MEDIA_TYPE,
            TOKEN_HEADER: publication.token,
        }
        if config.whip.ice_servers:
            headers["Link"] = ", ".join(f'<{s}>; rel="ice-server"' for s in config.whip.ice_servers)
        return Response(answer, 201, headers, OFFER_TYPE)

    @app.patch(RESOURCE, dependencies=protected)
    async def trickle(
        request: Request, call: str, participant: str, publication_id: str
    ) -> Response:
        publication = publications.find(_key(call, participant), publication_id)
        _check_content_type(request, MEDIA_TYPE)
        _check_precondition(request, publication)
        fragment = parse_fragment(await read_body(request, config.server.max_body_bytes))
        await publication.receiver.add_candidates(fragment)
        return Response(status_code=204)

    @app.delete(RESOURCE, dependencies=protected)
    async def end(call: str, participant: str, publication_id: str) -> Response:
        await publications.end(_key(call, participant), publication_id)
        return Response()

    @app.options(ENDPOINT)
    async def describe_endpoint() -> Response:
        return Response(headers={"Allow": "POST, OPTIONS", "Accept-Post": OFFER_TYPE})

    @app.options(RESOURCE)
    async def describe_resource() -> Response:
        return Response(headers={"Allow": RESOURCE_ALLOWS, "Accept-Patch": MEDIA_TYPE})

    @app.api_route(ENDPOINT, methods=["GET", "HEAD", "PUT", "PATCH", "DELETE"])
    async def refuse_endpoint() -> Response:
        raise Problem(405, "An endpoint takes POST.", {"Allow": "POST, OPTIONS"})

    @app.api_route(RESOURCE, methods=["GET", "HEAD", "PUT", "POST"])
    async def refuse_resource() -> Response:
        raise Problem(405, "A session takes PATCH and DELETE.", {"Allow": RESOURCE_ALLOWS})

    return app


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body. Raises Problem: 413 if it is too large, 408 if it stalls.

    A little more than is taken is read, because a connection that is closed on unread data loses
    the answer too.
    """
    body, received = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                received += len(chunk)
                if received <= limit_bytes:
                    body += chunk
                elif received > limit_bytes + DISCARDED_BYTES:
                    break
    except TimeoutError as error:
        raise Problem(408, "The body did not arrive in time.", CLOSE) from error
    if received > limit_bytes:
        raise Problem(413, f"The body is larger than {limit_bytes} bytes.", CLOSE)
    return bytes(body)


def _key(call: str, participant: str) -> ParticipantKey:
    for what, name in (("call", call), ("participant", participant)):
        if not NAME.fullmatch(name):
            raise Problem(
                400,
                f"The {what}'s name is not usable: 1 to 64 letters, digits and . _ ~ - "
                "were expected.",
            )
    return ParticipantKey(call, participant)


def _check_content_type(request: Request, expected: str) -> None:
    given = request.headers.get("Content-Type", "")
    if given.partition(";")[0].strip().lower() != expected:
        accept = "Accept-Patch" if request.method == "PATCH" else "Accept-Post"
        raise Problem(415, f"The body must come as {expected}.", {accept: expected})


def _check_precondition(request: Request, publication: Publication) -> None:
    """RFC 9725 section 4.3.1; a restart of ICE says "*" and is refused by what it asks for."""
    given = request.headers.get("If-Match")
    if given is None:
        raise Problem(428, "If-Match is missing; it must hold the ETag of the session.")
    if given not in ("*", publication.etag):
        raise Problem(412, "If-Match is not the ETag of this ICE session.")
