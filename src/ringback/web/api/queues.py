"""/api/v1/queues: who waits and who answers; and calls that are made meetings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from ringback.governance.roles import Identity, Permission
from ringback.web import operations
from ringback.web.api import API, PROBLEMS
from ringback.web.context import Context, Needs
from ringback.web.shapes import View

router = APIRouter(prefix=API, tags=["system"], responses=PROBLEMS)

CallsReader = Annotated[Identity, Depends(Needs(Permission.CALLS_READ))]
Controller = Annotated[Identity, Depends(Needs(Permission.PARTICIPANTS_CONTROL))]


class QueueCallerView(View):
    """Somebody who waits."""

    call: str = Field(examples=["12"], description="The call's id, as in /api/v1/calls.")
    waited_s: float
    ringing: bool = Field(description="Whether an agent is being rung for it.")


class QueueAgentView(View):
    """An agent of the queue."""

    extension: str = Field(examples=["1001"])
    state: str = Field(
        description="free, ringing, busy, wrap-up, did not answer, do not disturb, unreachable or logged out."
    )
    calls: int = Field(description="Calls of this queue that it has answered.")


class QueueView(View):
    """How a queue does; counts are since the server's start."""

    name: str = Field(examples=["support"])
    title: str
    waiting: list[QueueCallerView] = Field(description="In the order in which they came.")
    agents: list[QueueAgentView]
    answered: int
    abandoned: int = Field(description="Callers who hung up.")
    left: int = Field(description="Callers who went on without an agent.")
    longest_wait_s: float = Field(description="Of those who wait now.")
    average_wait_s: float | None = Field(description="Of the last 50 that were answered; null before those.")

    @classmethod
    def of(cls, queue: operations.QueueStatus) -> QueueView:
        """A queue as JSON."""
        return cls.model_validate(queue)


@router.get("/queues")
async def list_queues(context: Context, _viewer: CallsReader) -> list[QueueView]:
    """All queues, by name: who waits, what the agents do, and how long callers wait."""
    return [QueueView.of(queue) for queue in context.operations.queues()]


@router.post("/calls/{call}/meeting", status_code=202, response_class=Response)
async def make_meeting(call: str, context: Context, _viewer: Controller) -> None:
    """Make a meeting of a call: all who talk are moved into it, and its host hears number and PIN."""
    context.operations.make_meeting(call)
