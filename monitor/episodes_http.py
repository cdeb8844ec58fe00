"""`/v1/episodes`: what was suspected, of whom, when, and whether somebody was told. The same for
`vfd-monitor history`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from monitor.archive import Archive
from monitor.problems import Problem

MAX_EPISODES: Final = 1_000
DEFAULT_EPISODES: Final = 100
_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def since_unix_s(text: str, now: datetime) -> float:
    """Seconds since 1970 of a time in ISO 8601 (UTC unless it says otherwise) or so long ago: 90s,
    15m, 2h, 7d. Raises ValueError, saying what was expected."""
    try:
        if ago := _AGO.fullmatch(text):
            return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).timestamp()
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("expected such as 2h, 7d or 2026-11-28T22:00") from None


def episodes_routes(archive: Archive) -> APIRouter:
    """To be put behind the token."""
    router = APIRouter()

    @router.get("/v1/episodes")
    async def episodes(
        call: str | None = None, since: str = "", limit: int = DEFAULT_EPISODES
    ) -> Response:
        if not 1 <= limit <= MAX_EPISODES:
            raise Problem(422, f"limit: expected 1 to {MAX_EPISODES}.")
        try:
            oldest = since_unix_s(since, datetime.now(UTC)) if since else 0.0
        except ValueError as error:
            raise Problem(422, f"since: {error}.") from error
        found = await archive.read(lambda store: store.episodes(call, oldest, limit))
        return JSONResponse({"episodes": found})

    return router
