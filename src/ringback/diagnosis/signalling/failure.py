"""Why a call did not come about: the final answer to its INVITE and the likely fault (RFC 3261, 21)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ringback.diagnosis.signalling.call import Finding, Outcome
from ringback.diagnosis.signalling.ending import Ending
from ringback.diagnosis.signalling.exchange import codecs_of
from ringback.diagnosis.signalling.findings import Figures, finding
from ringback.diagnosis.signalling.formats import NOT_AUDIO
from ringback.diagnosis.signalling.reading import Seen
from ringback.diagnosis.signalling.tracing import SECOND, Traced, Transaction

_PLAIN: Final[Mapping[int, tuple[str, str]]] = {
    403: ("call-forbidden", "The call was forbidden (403): by policy, barring, credit or a block list."),
    404: ("number-not-found", "Nobody has the dialled number there (404)."),
    410: ("number-not-found", "The dialled number is not in use any more (410)."),
    485: ("number-not-found", "The dialled number is ambiguous there (485)."),
    604: ("number-not-found", "Nobody has the dialled number anywhere (604)."),
    484: ("number-incomplete", "Digits are missing (484): a dial plan sends too early, or overlap dialling."),
    480: (
        "callee-unavailable",
        "The called side cannot be reached (480): not registered, or does not disturb.",
    ),
    430: ("callee-unavailable", "The connection to the called phone is gone (430): it must register again."),
    486: ("callee-busy", "The called side was busy (486)."),
    600: ("callee-busy", "The called side was busy everywhere (600)."),
    603: ("call-declined", "The call was declined (603)."),
    408: ("call-timed-out", "A server gave up waiting (408): what it asked did not answer."),
    504: ("call-timed-out", "A server gave up waiting for another (504)."),
    415: ("body-type-unsupported", "The other side does not read the body of the INVITE (415)."),
}
# RFC 3261, 20.43, and RFC 5761 onwards; texts of peers are not shown.
_WARNINGS: Final = {
    300: "incompatible network protocol", 301: "incompatible network address formats",
    302: "incompatible transport protocol", 303: "incompatible bandwidth units",
    304: "media type not available", 305: "incompatible media format", 306: "attribute not understood",
    307: "session description parameter not understood", 330: "multicast not available",
    331: "unicast not available", 370: "insufficient bandwidth", 399: "miscellaneous",
}  # fmt: skip
_SECONDS: Final = re.compile(r"[ \t]*([0-9]{1,7})")
_LOOP_VIAS: Final = 3


def failure_findings(
    traced: Traced, begun: list[Transaction], outcome: Outcome, ending: Ending
) -> Iterator[Finding]:
    """What is found of the tries to begin a call."""
    yield from _loop(traced, begun)
    if not begun:
        return
    last = begun[-1]
    final = last.final
    if outcome == "cancelled":
        yield _given_up(begun, ending)
    elif final is not None and final.status >= 300:
        refused = _refused(traced, begun, last, final)
        if refused is not None:
            yield refused
    collisions = {
        (t.cseq, t.side) for t in traced.of("INVITE", "UPDATE") if t.final and t.final.status == 491
    }
    if collisions:
        at_ns = next(t.began_ns for t in traced.transactions if t.final is not None and t.final.status == 491)
        text = "Both sides changed the session at the same time (491)."
        yield finding("request-collision", at_ns, text, count=len(collisions))


def _given_up(begun: list[Transaction], ending: Ending) -> Finding:
    at_ns = ending.at_ns or begun[-1].began_ns
    seconds = round((at_ns - begun[0].began_ns) / SECOND, 3)
    if any(r.status > 100 for t in begun for r in t.provisional):
        return finding(
            "no-answer", at_ns, f"The caller gave up after {seconds:.1f} s; it had rung.", seconds=seconds
        )
    text = f"The caller gave up after {seconds:.1f} s; it had not rung."
    return finding("call-cancelled", at_ns, text, seconds=seconds, by="caller")


def _refused(traced: Traced, begun: list[Transaction], last: Transaction, final: Seen) -> Finding | None:
    status, at_ns = final.status, final.at_ns
    challenges = sum(1 for t in begun if t.final is not None and t.final.status in (401, 407))
    answered = last.request is not None and _has_credentials(last.request)
    if status in (401, 407) or (status == 403 and challenges and answered):
        return _authentication(status, at_ns, challenges, answered=answered)
    if (look := _LOOKS.get(status)) is not None:
        return look(traced, last, final)
    seconds = round((at_ns - last.began_ns) / SECOND, 3)
    if status == 487 or (status in (408, 480) and any(r.status > 100 for r in last.provisional)):
        text = f"It rang for {seconds:.1f} s, and nobody answered ({status})."
        return finding("no-answer", at_ns, text, seconds=seconds)
    if status in _PLAIN:
        code, text = _PLAIN[status]
        data = {"seconds": seconds} if code == "call-timed-out" else {}
        return finding(code, at_ns, text, status=status, **data)
    if status < 400:
        return finding("call-redirected", at_ns, f"The caller was sent elsewhere ({status}).", status=status)
    if 500 <= status < 600:
        text = f"A server or gateway on the way failed ({status} {final.phrase})."
        return finding("server-error", at_ns, text, status=status)
    if status == 491:
        return None
    return finding("call-refused", at_ns, f"The call was refused ({status} {final.phrase}).", status=status)


def _extension(_: Traced, __: Transaction, final: Seen) -> Finding:
    status = final.status
    wanted = final.headers.get_all("Unsupported" if status == 420 else "Require")
    names = " ".join(tag for tag in wanted if re.fullmatch(r"[A-Za-z0-9\-]{1,32}", tag))
    text = f"An extension stands between the two sides ({status}): {names or 'not named'}."
    return finding("extension-unsupported", final.at_ns, text, status=status, extension=names)


def _too_short(_: Traced, __: Transaction, final: Seen) -> Finding:
    least = _number(final, "Min-SE")
    text = f"The session timer is too short for the other side (422), which wants {least} s at least."
    return finding("session-interval-too-small", final.at_ns, text, status=422, min_se=least)


def _too_large(_: Traced, last: Transaction, final: Seen) -> Finding:
    octets = len(last.request.packet.data) if last.request is not None else 0
    text = f"The INVITE of {octets} octets is too large for the other side ({final.status})."
    return finding("message-too-large", final.at_ns, text, status=final.status, octets=octets)


def _circles(_: Traced, last: Transaction, final: Seen) -> Finding:
    vias = last.request.vias if last.request is not None else 0
    text = f"The call went round in circles or over too many hops ({final.status})."
    return finding("routing-loop", final.at_ns, text, status=final.status, vias=vias)


def _unknown(_: Traced, last: Transaction, final: Seen) -> Finding:
    text = "The other side knows no such call (481)."
    return finding("dialog-unknown", final.at_ns, text, status=481, method="INVITE", by=last.side)


def _has_credentials(request: Seen) -> bool:
    return "Authorization" in request.headers or "Proxy-Authorization" in request.headers


def _authentication(status: int, at_ns: int, challenges: int, *, answered: bool) -> Finding:
    if answered:
        text = f"The credentials were refused ({status}): a wrong password, user name or realm."
        count = max(challenges - (status != 403), 1)
        return finding("authentication-failed", at_ns, text, status=status, count=count, by="caller")
    text = f"The caller was asked for credentials ({status}) and did not send any."
    return finding("authentication-not-answered", at_ns, text, status=status)


def _not_acceptable(traced: Traced, last: Transaction, final: Seen) -> Finding:
    offered = codecs_of(last.request)
    supported = codecs_of(final) or _known_of_called(traced)
    codes = [int(match[1]) for value in final.headers.get_all("Warning") if (match := _SECONDS.match(value))]
    warning = _WARNINGS.get(codes[0], "") if codes else ""
    sections = last.request.sdp.media if last.request is not None and last.request.sdp is not None else ()
    profiles = {media.protocol for media in sections if media.port}
    data: Figures = {"status": final.status, "offered": " ".join(offered), "supported": " ".join(supported)}
    said = f" It says: {warning}." if warning else ""
    if sections and not any(media.port for media in sections):
        text = f"The offer holds no media: every section has port 0 ({final.status}).{said}"
        return finding("codec-mismatch", final.at_ns, text, **data, warning=warning)
    fits = bool(set(offered) & set(supported) - NOT_AUDIO)
    if fits or (profiles and not supported and all("SAVP" in name.upper() for name in profiles)):
        text = (
            f"The offer was refused though codecs fit ({final.status}): {' '.join(sorted(profiles))}.{said}"
        )
        return finding("media-protocol-mismatch", final.at_ns, text, **data)
    known = f"; the other side speaks {', '.join(supported)}" if supported else ""
    text = (
        f"The offer of {', '.join(offered) or 'no audio'} was not acceptable ({final.status}){known}.{said}"
    )
    return finding("codec-mismatch", final.at_ns, text, **data, warning=warning)


def _known_of_called(traced: Traced) -> tuple[str, ...]:
    """What the called side's own SDP in this call says that it speaks."""
    told = (codecs_of(seen) for seen in traced.messages if seen.side == "called" and seen.sdp is not None)
    return next((names for names in told if names), ())


def _overloaded(_: Traced, __: Transaction, final: Seen) -> Finding:
    wait_s = _number(final, "Retry-After")
    text = "A server or trunk on the way does not serve (503): overload, maintenance, or no route."
    if wait_s:
        text = f"A server or trunk has no room (503), and asks to be left alone for {wait_s} s."
    return finding("server-overloaded", final.at_ns, text, status=503, retry_after_s=wait_s)


def _number(seen: Seen, name: str) -> int:
    match = _SECONDS.match(seen.headers.get(name) or "")
    return int(match[1]) if match is not None else 0


_LOOKS: Final[Mapping[int, Callable[[Traced, Transaction, Seen], Finding]]] = {
    413: _too_large, 420: _extension, 421: _extension, 422: _too_short, 481: _unknown, 482: _circles,
    483: _circles, 488: _not_acceptable, 503: _overloaded, 513: _too_large, 606: _not_acceptable,
}  # fmt: skip


def _loop(traced: Traced, begun: list[Transaction]) -> Iterator[Finding]:
    """The same host again and again in the Via of one INVITE: it comes back to where it has been."""
    if any(t.final is not None and t.final.status in (482, 483) for t in begun):
        return
    for transaction in traced.of("INVITE"):
        request = transaction.request
        if request is None or request.vias < _LOOP_VIAS:
            continue
        places = Counter(
            value.partition(";")[0].rpartition(" ")[2].lower() for value in request.headers.get_all("Via")
        )
        place, times = places.most_common(1)[0]
        if times >= _LOOP_VIAS:
            text = f"The INVITE came past {place} {times} times: it goes round in circles."
            yield finding("routing-loop", request.at_ns, text, status=0, vias=request.vias)
            return
