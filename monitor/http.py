"""What is served besides WHIP: health, metrics, participants, events, and the page to join from."""

import asyncio
import hmac
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse

from monitor.archive import Archive
from monitor.calls import Calls
from monitor.calls_http import calls_routes
from monitor.config import Config
from monitor.drills import Drills
from monitor.drills_http import drills_routes
from monitor.episodes_http import episodes_routes
from monitor.event_stream import event_stream
from monitor.events import Event, EventBus
from monitor.metrics import Metrics
from monitor.problems import Problem, install_problem_handlers
from monitor.publications import Publications
from monitor.sessions import Registry, Session
from monitor.whip import create_whip_app
from vfd.checkpoint import Checkpoint

STATIC = Path(__file__).parent / "static"
PAGE_FILES = {
    "publish.html": "text/html; charset=utf-8",
    "publish.js": "text/javascript; charset=utf-8",
    "publish.css": "text/css; charset=utf-8",
}
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the interface shows. `not_ready` says why no work can be taken; empty if it can."""

    config: Config
    checkpoint: Checkpoint
    registry: Registry
    publications: Publications
    calls: Calls
    archive: Archive
    drills: Drills
    bus: EventBus
    metrics: Metrics
    executor: Executor
    not_ready: Callable[[], str]


def create_app(parts: Parts) -> FastAPI:
    """All that holds data asks for the token: not the two probes, nor the page itself."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    install_problem_handlers(app)
    check_token = token_check(parts.config.server.token)
    app.mount("/whip", create_whip_app(parts.publications, parts.config, check_token))
    app.include_router(_open_routes(parts))
    for router in (
        _protected_routes(parts),
        calls_routes(parts.calls, parts.config),
        episodes_routes(parts.archive),
        drills_routes(parts.drills, parts.config),
    ):
        app.include_router(router, dependencies=[Depends(check_token)])
    return app


def token_check(token: str) -> Callable[[Request], None]:
    """A dependency that lets requests with the bearer `token` pass, all of them if it is empty."""
    expected = f"Bearer {token}".encode()

    def check(request: Request) -> None:
        given = request.headers.get("Authorization", "").encode()
        if token and not hmac.compare_digest(given, expected):
            raise Problem(401, "A valid bearer token is needed.", {"WWW-Authenticate": "Bearer"})

    return check


def _open_routes(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    async def alive() -> Response:
        archive = parts.archive
        store = {"on_disk": archive.on_disk, "trouble": archive.trouble or None}
        model = describe_model(parts.checkpoint)
        return JSONResponse({"status": "alive", "model": model, "store": store})

    @router.get("/readyz")
    async def ready() -> Response:
        if reason := parts.not_ready():
            raise Problem(503, reason)
        return JSONResponse({"status": "ready"})

    @router.get("/")
    async def start() -> Response:
        return RedirectResponse("/publish", 307)

    @router.get("/publish")
    async def page() -> Response:
        return _page_file("publish.html")

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        return _page_file(name)

    return router


def _protected_routes(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics")
    async def metrics() -> Response:
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(parts.executor, parts.metrics.render)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/v1/participants")
    async def participants() -> Response:
        return JSONResponse({"participants": [describe(s) for s in parts.registry.sessions()]})

    @router.get("/v1/events")
    async def events(request: Request) -> Response:
        limit = parts.config.server.max_event_clients
        if parts.bus.listeners >= limit:
            raise Problem(503, f"{limit} clients read events already.", {"Retry-After": "10"})
        return StreamingResponse(
            event_stream(
                parts.bus,
                parts.archive,
                _snapshot(parts),
                request.headers.get("Last-Event-ID", ""),
            ),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    return router


def _snapshot(parts: Parts) -> Event:
    return {
        "type": "snapshot",
        "participants": [describe(s) for s in parts.registry.sessions()],
        "model": describe_model(parts.checkpoint),
    }


def describe_model(checkpoint: Checkpoint) -> dict[str, str | bool]:
    """What a reader must know of the weights before believing a score."""
    info = checkpoint.info
    return {
        "preset": info.config.preset,
        "sha256": checkpoint.sha256,
        "trained_on": info.trained_on,
        "synthetic": info.synthetic,
    }


def describe(session: Session) -> dict[str, object]:
    """One participant, JSON-safe. `similarity` is that of the last second, `statistic` smoothed."""
    verdict, similarities = session.verdict, session.similarities
    abstained = similarities and similarities[-1] is None and session.last_abstention
    return {
        "call": session.key.call,
        "participant": session.key.participant,
        "name": session.name,
        "state": verdict.state.value,
        "reason": verdict.reason.value if verdict.reason else None,
        "statistic": verdict.statistic,
        "similarity": similarities[-1] if similarities else None,
        "not_scored": abstained.reason.value if abstained else None,
        "speech": session.speech,
        "coverage": session.coverage,
        "windows_scored": session.scored,
        "windows_abstained": {reason.value: n for reason, n in session.abstained.items()},
        "joined_s": session.joined_s,
    }


def _page_file(name: str) -> Response:
    if name not in PAGE_FILES:
        raise Problem(404, "There is no such file.")
    return Response((STATIC / name).read_bytes(), 200, PAGE_HEADERS, PAGE_FILES[name])
