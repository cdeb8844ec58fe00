"""`/v1/calls`: joins and leaves calls at run time, and says how each of them stands."""

import re
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError

from monitor.call_urls import CallUrlError, check_public, parse_call_url
from monitor.calls import Call, Calls, CallTakenError
from monitor.config import Config
from monitor.problems import Problem
from monitor.source import Trouble
from monitor.whip import NAME, read_body

_ID = re.compile(NAME)


class _Wanted(BaseModel):
    """The body of a POST. `id`: what the call is named here; made from the URL if left out."""

    model_config = ConfigDict(extra="forbid", strict=True)
    url: str
    id: str = ""


def calls_routes(calls: Calls, config: Config) -> APIRouter:
    """To be put behind the token."""
    router = APIRouter(prefix="/v1/calls")

    def turned_away(status: int, trouble: Trouble, message: str) -> Problem:
        calls.turned_away(trouble, message)
        return Problem(status, message)

    @router.get("")
    async def list_calls() -> Response:
        return JSONResponse({"calls": [_described(call, calls) for call in calls.all()]})

    @router.post("")
    async def join(request: Request) -> Response:
        wanted = _parsed(await read_body(request, config.server.max_body_bytes))
        if wanted.id and not _ID.fullmatch(wanted.id):
            raise Problem(422, "id: 1 to 64 letters, digits and . _ ~ - were expected.")
        try:
            url = parse_call_url(wanted.url)
        except CallUrlError as error:
            raise turned_away(422, Trouble.UNSUPPORTED, f"url: {error}.") from error
        try:
            if not config.join.allow_private_targets:
                await check_public(url)
            call = calls.add(url, wanted.id)
        except CallUrlError as error:
            raise turned_away(422, Trouble.REFUSED, f"url: {error}.") from error
        except CallTakenError as error:
            raise turned_away(409, Trouble.FULL, f"{error}.") from error
        headers = {"Location": f"/v1/calls/{call.id}"}
        return JSONResponse(_described(call, calls), 201, headers)

    @router.get("/{call_id}")
    async def show(call_id: str) -> Response:
        call = calls.get(call_id)
        if call is None:
            raise Problem(404, "There is no such call.")
        return JSONResponse(_described(call, calls))

    @router.delete("/{call_id}")
    async def leave(call_id: str) -> Response:
        if not await calls.remove(call_id):
            raise Problem(404, "There is no such call.")
        return Response(status_code=204)

    return router


def _parsed(body: bytes) -> _Wanted:
    try:
        return _Wanted.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise Problem(422, f"{where}: {first['msg']}.") from error


def _described(call: Call, calls: Calls) -> dict[str, object]:
    retry_at = call.retry_at
    delay = calls.delays().get(call.id)
    wait_s = (retry_at - datetime.now(UTC)).total_seconds() if retry_at else None
    return {
        "id": call.id,
        "url": call.url.shown,
        "state": call.state.value,
        "since": call.since.isoformat(timespec="milliseconds"),
        "trouble": call.trouble.value if call.trouble else None,
        "message": call.message or None,
        "retry_in_s": None if wait_s is None else round(max(wait_s, 0.0), 1),
        "attempts": call.attempts,
        "participants": calls.participants(call.id),
        "latency_s": None if delay is None else round(delay.latency_s, 2),
    }
