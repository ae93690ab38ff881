"""Who sent a call on, for those whom it reaches: the Diversion header (RFC 5806).

Of the two headers for this, Diversion is the one that carriers ask for before they let a number of somebody
else through, and that desk phones show.
"""

from __future__ import annotations

from typing import Final

from ringback.routing.steps import Outcome, Step
from ringback.server.destinations import Call
from ringback.sip.headers import Headers
from ringback.sip.uri import NameAddr, SipUri, escape_user
from ringback.store.plan.target import Target

FORWARDED_HOPS: Final = 20
"""What Max-Forwards of a call that is forwarded outside begins with at most: should it come back by a number
of ours again and again, it ends soon."""

_REASONS: Final = {
    Outcome.BUSY: "user-busy",
    Outcome.NO_ANSWER: "no-answer",
    Outcome.UNREACHABLE: "unavailable",
    Outcome.DECLINED: "deflection",
}


def forwarder(step: Step, called: Target | None = None) -> str | None:
    """The extension that sent the call to where it is; `called` is the step's own place, which did not."""
    passed = [target.name for target in step.path if target.kind == "extension" and target != called]
    return passed[-1] if passed else None


def diversion(number: str, host: str, call: Call) -> Headers:
    """The header that says so; whose caller stays unknown, may not be told on either (§4.2)."""
    uri = SipUri(user=escape_user(number), host=host)
    reason = "unconditional" if call.why is None else _REASONS.get(call.why, "unknown")
    privacy = "full" if call.caller.hidden else "off"
    return Headers(("Diversion", f"{NameAddr(uri)};reason={reason};counter=1;privacy={privacy}"))
