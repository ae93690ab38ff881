"""The API's routes, loaded subject by subject: each with the first request for it, all for their description.

What a server is asked for after its start is a few subjects. To make the routes of all takes half a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from ringback.web.api import API
from ringback.web.problems import problem_schemas

SUBJECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "meetings": ("meetings",),
    "participants": ("meetings",),
    "quality": ("meetings", "calls"),
    "queues": ("queues", "calls"),
    "extensions": ("extensions",),
    "people": ("people",),
    "holdings": ("holdings",),
    "devices": ("devices",),
    "plan": ("plan",),
    "history": ("history",),
    "trunks": ("trunks", "tolls"),
    "route": ("route",),
    "system": ("status", "registrations", "calls"),
    "call_records": ("call-records",),
    "bans": ("bans",),
    "events": ("events",),
    "sip_trace": ("sip",),
    "diagnoses": ("diagnoses",),
    "recordings": ("recordings",),
    "backups": ("backups",),
    "tokens": ("tokens", "administrators"),
    "logins": ("session", "logins"),
    "second_factor": ("session", "logins"),
    "mailboxes": ("voicemail", "voicemail-archives"),
    "visits": ("visits",),
    "phone": ("phone",),
}
"""Modules of `web.api`, in the order of the description, with how their paths begin below /api/v1."""

_BELOW: Final = f"{API}/"


def routes_of(subject: str) -> list[BaseRoute]:
    """The routes of a module of `web.api`."""
    module = import_module(f"ringback.web.api.{subject}")
    routers = (value for value in vars(module).values() if isinstance(value, APIRouter))
    return [route for router in routers for route in router.routes]


class Application(FastAPI):
    """An application with these subjects of the API; what else there is, it has from the start."""

    def __init__(self, subjects: Iterable[str] = SUBJECTS, **words: Any) -> None:
        super().__init__(**words)
        self._missing = {subject: SUBJECTS[subject] for subject in subjects}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, with the routes that it may be for."""
        if self._missing and scope["type"] == "http" and scope["path"].startswith(_BELOW):
            first = scope["path"].removeprefix(_BELOW).partition("/")[0]
            self._load([subject for subject, firsts in self._missing.items() if first in firsts])
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The description of all routes; which were loaded first makes no difference to it."""
        self._load(list(self._missing))
        if not self.openapi_schema:
            order = {id(route): place for place, route in enumerate(all_routes())}
            self.router.routes.sort(key=lambda route: order.get(id(route), len(order)))
            described = super().openapi()
            described["components"]["schemas"] |= problem_schemas()
        return super().openapi()

    def _load(self, subjects: Iterable[str]) -> None:
        for subject in subjects:
            del self._missing[subject]
            # As they are: `include_router` would make each of them once more.
            self.router.routes.extend(routes_of(subject))


def all_routes() -> list[BaseRoute]:
    """Those of all subjects."""
    return [route for subject in SUBJECTS for route in routes_of(subject)]
