"""`/v1/drills`: begins a drill, and says how it goes."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitor.config import Config
from monitor.drills import DrillRefusedError, Drills
from monitor.problems import Problem
from monitor.whip import read_body
from vfd.types import ParticipantKey


class _Wanted(BaseModel):
    """The body of a POST. `seconds`: until the swap must be detected."""

    model_config = ConfigDict(extra="forbid", strict=True)
    call: str
    participant: str
    seconds: Annotated[float, Field(ge=5, le=600)] = 60.0


def drills_routes(drills: Drills, config: Config) -> APIRouter:
    """To be put behind the token."""
    router = APIRouter(prefix="/v1/drills")

    @router.post("")
    async def begin(request: Request) -> Response:
        body = await read_body(request, config.server.max_body_bytes)
        try:
            wanted = _Wanted.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "body"
            raise Problem(422, f"{where}: {first['msg']}.") from error
        try:
            key = ParticipantKey(wanted.call, wanted.participant)
            drill = await drills.begin(key, wanted.seconds)
        except DrillRefusedError as error:
            raise Problem(404 if error.missing else 409, f"{error}.") from error
        return JSONResponse(drill.as_json(), 202, {"Location": f"/v1/drills/{drill.id}"})

    @router.get("/{drill_id}")
    async def show(drill_id: str) -> Response:
        drill = drills.get(drill_id)
        if drill is None:
            raise Problem(404, "There is no such drill; only the last ones are remembered.")
        return JSONResponse(drill.as_json())

    return router
