"""Errors as RFC 9457 problem details: what went wrong and what to do, without private data."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ringback.store.errors import DatabaseUnusableError, InvalidValueError, StoreError
from ringback.web.operations import OperationError

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 100
_RETRY_AFTER_S = "5"
_DETAILS = {404: "there is nothing at this address", 405: "this address does not take that method"}
_log = structlog.get_logger("ringback.web")


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(examples=["members.2"], description="Path to it; empty for the whole.")
    message: str = Field(examples=["there is no extension 1009"])


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(
        default="about:blank", description="What kind of problem; about:blank means what the status says."
    )
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no meeting 481516234"])
    errors: list[FieldError] | None = Field(None, description="What is wrong, field by field.")


_REFERENCE = "#/components/schemas/{model}"


def documented(description: str) -> dict[str, Any]:
    """A problem as a route's description names it among its answers.

    By reference and not as a model: FastAPI would make a validator for each one of each route.
    """
    schema = {"$ref": _REFERENCE.format(model=Problem.__name__)}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def problem_schemas() -> dict[str, Any]:
    """What `documented` refers to, by name."""
    schema = Problem.model_json_schema(ref_template=_REFERENCE, mode="serialization")
    return {**schema.pop("$defs"), Problem.__name__: schema}


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: dict[str, str] | None = None,
        errors: list[FieldError] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers
        self.errors = errors


def problem_response(
    status: int, detail: str, headers: dict[str, str] | None = None, errors: list[FieldError] | None = None
) -> JSONResponse:
    """The answer that a problem becomes."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return JSONResponse(problem.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""

    async def from_problem(_: Request, error: Exception) -> JSONResponse:
        match error:
            case ProblemError():
                return problem_response(error.status, error.detail, error.headers, error.errors)
            case InvalidValueError():
                fields = [
                    FieldError(field=each.field, message=each.message)
                    for each in error.problems[:_MOST_ERRORS]
                ]
                return problem_response(error.status, str(error), errors=fields)
            case DatabaseUnusableError():
                return problem_response(error.status, str(error), {"Retry-After": _RETRY_AFTER_S})
            case StoreError() | OperationError():
                return problem_response(error.status, str(error))
            case RequestValidationError():
                return problem_response(422, in_words(error.errors()))
            case HTTPException():
                detail = _DETAILS.get(error.status_code, str(error.detail))
                return problem_response(error.status_code, detail, dict(error.headers or {}))
            case _:
                raise error

    async def from_bug(request: Request, error: Exception) -> JSONResponse:
        _log.error("request failed", method=request.method, path=_route(request), error=type(error).__name__)
        return problem_response(500, "the server made a mistake; its log says more")

    for kind in (ProblemError, StoreError, OperationError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, from_problem)
    app.add_exception_handler(Exception, from_bug)


def _route(request: Request) -> str:
    return str(getattr(request.scope.get("route"), "path", "unknown"))


def in_words(errors: Sequence[Any], body: int = 1) -> str:
    """What is wrong with what was sent; the place in it begins at the part `body` of each error's."""
    found = []
    for error in errors:
        if error["type"] == "json_invalid":
            return "the body is not valid JSON"
        where = ".".join(str(part) for part in error["loc"][body:])
        message = str(error["msg"]).replace("Input should be", "must be").replace("Extra inputs are", "is")
        message = message.removeprefix("Value error, ").replace("Field required", "is missing")
        found.append(f"{where}: {message}" if where else f"the {error['loc'][0]} {message}")
    return "; ".join(found)
