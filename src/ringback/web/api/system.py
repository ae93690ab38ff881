"""/api/v1/status, calls, registrations: what the system does now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs
from ringback.web.views import CallView, RegistrationView, StatusView

router = APIRouter(prefix=API, tags=["system"], responses=PROBLEMS)

StatusReader = Annotated[Identity, Depends(Needs(Permission.STATUS_READ))]
CallsReader = Annotated[Identity, Depends(Needs(Permission.CALLS_READ))]
RegistrationsReader = Annotated[Identity, Depends(Needs(Permission.REGISTRATIONS_READ))]


@router.get("/status")
async def status(context: Context, _viewer: StatusReader) -> StatusView:
    """Version, processes, addresses, and how much goes on."""
    return StatusView.of(context.operations.status())


@router.get("/calls")
async def list_calls(context: Context, viewer: CallsReader) -> list[CallView]:
    """The calls in progress, oldest first."""
    return [CallView.of(call, viewer) for call in context.operations.calls()]


@router.get("/registrations")
async def list_registrations(context: Context, viewer: RegistrationsReader) -> list[RegistrationView]:
    """The devices that can be called now."""
    return [RegistrationView.of(one, viewer) for one in context.operations.registrations()]
