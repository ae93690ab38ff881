"""The documentation of the four transaction machines as Markdown, drawn from their tables (RFC 3261 §17)."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Final

from ringback.sip.timers import Timers
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.invite_client import InviteClientTransaction
from ringback.sip.transaction.invite_server import InviteServerTransaction
from ringback.sip.transaction.machine import Action, Input, State, Transaction
from ringback.sip.transaction.non_invite_client import NonInviteClientTransaction
from ringback.sip.transaction.non_invite_server import NonInviteServerTransaction

MACHINES: Final[tuple[tuple[str, type[Transaction]], ...]] = (
    ("INVITE client transaction", InviteClientTransaction),
    ("Client transaction of other requests", NonInviteClientTransaction),
    ("INVITE server transaction", InviteServerTransaction),
    ("Server transaction of other requests", NonInviteServerTransaction),
)

_INTRODUCTION: Final = """\
# SIP transactions

A transaction is one request and its answers. It repeats what may be lost, absorbs what comes twice, and ends
by itself. There are four machines (RFC 3261 §17, with the Accepted state of RFC 6026), each a table in
`src/ringback/sip/transaction/`; what a table does not name is absorbed. An arrow says what happened, and
after the stroke what is sent or told; the tables have the timers that begin and stop as well.

This page is drawn from these tables by `make docs`.
"""

_TIMERS: Final = """
## Timers

T1 is {t1:g} s (a round trip), T2 {t2:g} s (the longest wait before a message goes again), T4 {t4:g} s (how
long the network keeps a message). Over TCP, TLS and WebSockets these machines send nothing again.

| timer | UDP | others | meaning |
|---|---|---|---|
"""


def transactions_page() -> str:
    """The page, ending with a newline."""
    return "".join([_INTRODUCTION, *(_machine(title, kind) for title, kind in MACHINES), *_timers(Timers())])


def _machine(title: str, kind: type[Transaction]) -> str:
    rfc = (inspect.getdoc(sys.modules[kind.__module__]) or "").partition("\n")[0]
    lines = [f"\n## {title}\n", f"{inspect.getdoc(kind)}\n", f"{rfc}\n", "```mermaid", "stateDiagram-v2"]
    lines += [f"    {line}" for line in _arrows(kind)]
    lines += ["```\n", "| state | what happens | next state | what is done |", "|---|---|---|---|"]
    for (state, event), (following, actions) in kind.table.items():
        lines.append(
            f"| {state.value} | {_event(event)} | {_next(state, following)} | {_done(actions) or 'nothing'} |"
        )
    return "\n".join(lines) + "\n"


def _arrows(kind: type[Transaction]) -> Iterator[str]:
    """The lines of the diagram: one arrow from a state to another, whatever leads there."""
    first = kind.first if issubclass(kind, ClientTransaction) else ()
    began = f"begin / {_done(first, timers=False)}" if first else "the request came"
    yield f"[*] --> {kind.initial.value} : {began}"
    labels: dict[tuple[State, State], list[str]] = {}
    for (state, event), (following, actions) in kind.table.items():
        done = _done(actions, timers=False)
        labels.setdefault((state, following), []).append(_event(event) + (f" / {done}" if done else ""))
    for (state, following), texts in labels.items():
        yield f"{state.value} --> {following.value} : {'<br>'.join(texts)}"
    yield f"{State.TERMINATED.value} --> [*]"


def _event(event: Input) -> str:
    return f"timer {event.value}" if event.name.startswith("TIMER_") else event.value


def _next(state: State, following: State) -> str:
    return "the same" if state is following else following.value


def _done(actions: tuple[Action, ...], *, timers: bool = True) -> str:
    named = (action for action in actions if timers or not action.name.startswith(("START_", "STOP")))
    return ", ".join(action.value for action in named)


def _timers(timing: Timers) -> Iterator[str]:
    yield _TIMERS.format(t1=timing.t1, t2=timing.t2, t4=timing.t4)
    repeating = {
        event
        for _, kind in MACHINES
        for (_, event), (_, actions) in kind.table.items()
        if Action.RESEND in actions
    }
    for event in Input:
        if event.name.startswith("TIMER_"):
            wait: Callable[..., float] = getattr(timing, event.name.lower())
            by_transport = "reliable" in inspect.signature(wait).parameters
            datagram, stream = (wait(False), wait(True)) if by_transport else (wait(), wait())
            streamed = "none" if event in repeating else f"{stream:g} s"
            yield f"| {event.value} | {datagram:g} s | {streamed} | {inspect.getdoc(wait)} |\n"


if __name__ == "__main__":
    print(transactions_page(), end="")
