"""Errors of the HTTP interface as problem details (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

RETRY_AFTER_S = 10  # said to those who are refused for no fault of theirs


class Problem(Exception):  # noqa: N818 - the noun of RFC 9457
    """A request that is refused. `detail` says to the caller what was wrong and what is taken."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """The problem+json body. Its type is about:blank: the status says all (section 4.2.1)."""
        return JSONResponse(
            {
                "type": "about:blank",
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "detail": self.detail,
            },
            self.status,
            headers=self.headers,
            media_type="application/problem+json",
        )


def install_problem_handlers(app: FastAPI) -> None:
    """Lets every error of `app` leave as problem+json, those of the framework included."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_unexpected)


def _on_problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return error.response()


def _on_http_exception(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, str(error.detail), error.headers).response()


def _on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return Problem(422, f"{where}: {first['msg']}").response()


def _on_unexpected(_: Request, error: Exception) -> JSONResponse:
    # The framework logs the traceback; its text may hold what the caller must not see.
    return Problem(500, "The monitor failed to handle this request.").response()
