"""/api/v1/route: where a call would go, without making it. Numbers come in the body, never in the address."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends

from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs
from ringback.web.route_views import SimulatedRoute, Simulation, simulate

router = APIRouter(prefix=f"{API}/route", tags=["routing"], responses=PROBLEMS)

RouteReader = Annotated[Identity, Depends(Needs(Permission.TRUNKS_READ))]


@router.post("/simulate")
async def simulate_call(body: Simulation, context: Context, viewer: RouteReader) -> SimulatedRoute:
    """Every rule that a call would pass, the legs that would ring, and what can become of it; by the very
    code that routes calls. Nothing rings."""
    now = datetime.now().astimezone()
    # A plan that branches often takes its time: calls are handled by the loop meanwhile.
    return await asyncio.to_thread(simulate, context.store.directory, context.settings, body, viewer, now)
