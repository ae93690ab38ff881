"""One call as its SIP messages tell it: the results of `signalling.follow`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ringback.diagnosis.capture.captured import Endpoints, Nanoseconds, SipPacket, Transport
from ringback.diagnosis.stream.measured import PayloadFormat
from ringback.governance.private import Private

Side = Literal["caller", "called"]
Outcome = Literal["answered", "failed", "cancelled", "unanswered", "ringing", "redirected", "unknown"]


@dataclass(frozen=True, slots=True)
class LadderMessage:
    """One message of the ladder, with what a line of it shows; `packet` has the rest."""

    at_ns: Nanoseconds
    endpoints: Endpoints
    transport: Transport
    label: str
    """`INVITE`, `200 OK`, `re-INVITE`; never with numbers or names."""
    method: str
    status: int
    cseq: int
    retransmission: bool
    has_sdp: bool
    packet: SipPacket
    note: str = ""
    """What is remarkable, in words without numbers or names."""


@dataclass(frozen=True, slots=True)
class MediaOffer:
    """One audio (or image, for T.38) section of one SDP: where its sender wants media, and of what form.

    `address` and `port` as in c= and m=; `signalled_from` is where the SIP message came from by its packet.
    `direction` from the sender's view. `answers` is true for the answer of an exchange. `by` is who sent it.
    """

    at_ns: Nanoseconds
    by: Side
    kind: str
    address: str
    port: int
    rtcp_port: int
    signalled_from: str
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"]
    formats: Mapping[int, PayloadFormat]
    order: tuple[int, ...]
    ptime_ms: float
    protocol: str
    answers: bool
    accepted: bool
    """Part of an exchange that was completed: both sides held to it from `at_ns` on."""
    in_dialog: bool
    """By re-INVITE or UPDATE."""
    hop: int = 0
    """0 at the caller's end; the same offer may name another address at the next hop."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about the signalling that is remarkable: a kebab-case `code` and one sentence for people."""

    code: str
    text: str
    at_ns: Nanoseconds
    severity: Literal["info", "warning", "fault"] = "info"
    data: Mapping[str, float | int | str] | None = None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call: the messages with one Call-ID (with both legs of a B2BUA as two calls).

    Times in ms from the first INVITE, None for what did not happen. `setup_ms` is to the 200,
    `post_dial_ms` to the first ringing or early media (18x). `ended_by` is who sent BYE or CANCEL.
    `codecs_*` are names in order.
    """

    call_id: Private[str]
    label: str
    """For people and files: a short hash of the Call-ID, the same in each run."""
    from_: Private[str]
    to: Private[str]
    caller: Endpoints
    """Of the first INVITE."""
    start_ns: Nanoseconds
    answered_ns: Nanoseconds | None
    ended_ns: Nanoseconds | None
    outcome: Outcome
    status: int | None
    """The final answer to the first INVITE (of the last try, after challenges)."""
    reason: str
    """Its reason phrase, or the Reason header of who ended the call, shown fit; without numbers."""
    setup_ms: float | None
    post_dial_ms: float | None
    ended_by: Side | Literal["network"] | None
    messages: tuple[LadderMessage, ...]
    media: tuple[MediaOffer, ...]
    offered: tuple[str, ...]
    negotiated: tuple[str, ...]
    retransmissions: Mapping[str, int]
    """By method or status class of the message repeated."""
    session_expires_s: int | None
    refresher: Side | None
    user_agents: Mapping[Side, str]
    findings: tuple[Finding, ...]
    complete: bool
    """The capture holds its beginning and end."""


@dataclass(frozen=True, slots=True)
class OtherDialogs:
    """Signalling beside calls, counted: registrations with their failures, OPTIONS, subscriptions."""

    requests: Mapping[str, int]
    statuses: Mapping[str, int]
    """`REGISTER 401` and the like."""
    findings: tuple[Finding, ...]
    malformed: int


@dataclass(frozen=True, slots=True)
class Signalling:
    """All of a capture's SIP."""

    calls: tuple[CallRecord, ...]
    other: OtherDialogs
