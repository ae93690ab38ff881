"""What can be found in a call's signalling, in one table: codes, how grave each is, and what it means.

A `Finding` carries its code, one sentence about this call, and figures under the names given here. In all
of them `by` is `caller` or `called`; `status` a SIP status code; `seconds` a duration; `count` a number of
times; addresses are those of hosts, never of people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from ringback.diagnosis.capture.captured import Nanoseconds
from ringback.diagnosis.signalling.call import Finding

Severity = Literal["info", "warning", "fault"]
Figures = dict[str, float | int | str]


class Meaning(NamedTuple):
    """What a code stands for; `data` names the figures that come with it."""

    severity: Severity
    text: str
    data: tuple[str, ...] = ()


CODES: Final[Mapping[str, Meaning]] = {
    # How a call failed, by the final answer to its INVITE (RFC 3261, 21)
    "authentication-failed": Meaning(
        "fault",
        "Credentials were sent and refused: a wrong password, user or realm.",
        ("status", "count", "by"),
    ),
    "authentication-not-answered": Meaning(
        "fault", "The challenge was the end: the caller has no credentials for it.", ("status",)
    ),
    "call-forbidden": Meaning("fault", "403: policy, barring, or no credit.", ("status",)),
    "number-not-found": Meaning("fault", "404, 410, 485, 604: nobody has this number there.", ("status",)),
    "number-incomplete": Meaning(
        "fault", "484: digits are missing, overlap dialling or a dial plan.", ("status",)
    ),
    "callee-unavailable": Meaning("fault", "480, 430: not registered, or does not disturb.", ("status",)),
    "callee-busy": Meaning("info", "486, 600.", ("status",)),
    "call-declined": Meaning("info", "603: refused by the person or by policy.", ("status",)),
    "call-timed-out": Meaning(
        "fault", "408, 504: something further on did not answer.", ("status", "seconds")
    ),
    "call-cancelled": Meaning("info", "The caller gave up before an answer.", ("seconds", "by")),
    "no-answer": Meaning("info", "It rang and was given up or timed out.", ("seconds",)),
    "call-redirected": Meaning("info", "3xx: the caller was sent elsewhere.", ("status",)),
    "codec-mismatch": Meaning(
        "fault",
        "488, 606, or an answer without a codec of the offer. Names are joined by spaces.",
        ("status", "offered", "supported", "warning"),
    ),
    "media-protocol-mismatch": Meaning(
        "fault",
        "488, 606 where only encryption or the profile explains it: RTP/SAVP against RTP/AVP.",
        ("status", "offered", "supported"),
    ),
    "body-type-unsupported": Meaning(
        "fault", "415: the body is of a type the other side does not read.", ("status",)
    ),
    "extension-unsupported": Meaning(
        "fault", "420, 421: an extension in Require or Supported.", ("status", "extension")
    ),
    "session-interval-too-small": Meaning("fault", "422 that no retry followed.", ("status", "min_se")),
    "message-too-large": Meaning("fault", "413, 513.", ("status", "octets")),
    "dialog-unknown": Meaning(
        "fault", "481: the other side has no such call any more.", ("status", "method", "by")
    ),
    "server-overloaded": Meaning(
        "fault", "503; Retry-After is 0 where it was not told.", ("status", "retry_after_s")
    ),
    "server-error": Meaning("fault", "Another 5xx.", ("status",)),
    "call-refused": Meaning("fault", "Any other 4xx or 6xx.", ("status",)),
    "routing-loop": Meaning(
        "fault",
        "482, 483, or the same proxy twice in Via: the call goes round in circles.",
        ("status", "vias"),
    ),
    # Requests and answers that did not arrive (RFC 3261, 17)
    "invite-unanswered": Meaning(
        "fault",
        "INVITE was sent again and again, and nothing came back.",
        ("count", "seconds", "octets", "address"),
    ),
    "invite-retransmitted": Meaning(
        "warning", "INVITE was answered only after it was repeated.", ("count", "seconds")
    ),
    "large-invite-fragmented": Meaning(
        "info", "INVITE over UDP is so large that it went in fragments.", ("octets", "fragments")
    ),
    "fragmented-invite-unanswered": Meaning(
        "fault",
        "The INVITE in fragments was never answered: fragments are dropped on the way.",
        ("octets", "fragments", "count"),
    ),
    "ack-missing": Meaning(
        "fault",
        "200 was repeated and no ACK ever came; the call ends about 32 s after its answer (64 T1).",
        ("count", "seconds", "ended_after_s"),
    ),
    "ack-late": Meaning("warning", "200 had to be repeated before its ACK came.", ("count", "seconds")),
    "ack-to-wrong-address": Meaning(
        "fault",
        "ACK went elsewhere than where 200 came from, to a Contact that does not reach it.",
        ("contact", "source", "sent_to"),
    ),
    "contact-unreachable": Meaning(
        "fault",
        "Requests to a Contact with a private or foreign address got no answer.",
        ("by", "contact", "source", "method"),
    ),
    "bye-unanswered": Meaning(
        "warning", "BYE was repeated without an answer: the other side may go on.", ("by", "count")
    ),
    "cancel-unanswered": Meaning(
        "warning", "CANCEL got no answer, or the INVITE no 487 after it.", ("count",)
    ),
    "request-unanswered": Meaning(
        "warning", "Another request in the call got no answer.", ("method", "by", "count")
    ),
    "prack-missing": Meaning(
        "fault",
        "A reliable provisional response (100rel) was repeated and no PRACK came.",
        ("status", "count", "seconds"),
    ),
    # What happened in the call
    "reinvite-refused": Meaning("warning", "A re-INVITE or UPDATE was refused.", ("status", "by", "method")),
    "reinvite-unanswered": Meaning(
        "fault", "A re-INVITE or UPDATE got no answer.", ("by", "method", "count", "seconds")
    ),
    "request-collision": Meaning("warning", "491: both sides changed the session at once.", ("count",)),
    "session-timer-expired": Meaning(
        "fault",
        "No refresh came in time, and the call ended when Session-Expires ran out (RFC 4028).",
        ("by", "refresher", "seconds", "session_expires_s"),
    ),
    "session-refresh-missing": Meaning(
        "warning",
        "The refresh that was due did not come; the call went on.",
        ("refresher", "seconds", "session_expires_s"),
    ),
    "session-refresh-failed": Meaning(
        "fault", "A refresh was refused or not answered.", ("by", "status", "session_expires_s", "refresher")
    ),
    "ended-by-network": Meaning("warning", "Both sides were told BYE from between them.", ("cause",)),
    "ended-with-reason": Meaning("info", "Who ended the call gave a Reason (RFC 3326).", ("by", "cause")),
    "ended-by-media-timeout": Meaning(
        "fault", "The Reason says that no media came: who ended it heard nothing.", ("by", "seconds")
    ),
    "media-hold": Meaning("info", "One side put the other on hold.", ("by", "direction")),
    "media-resumed": Meaning("info", "The hold ended.", ("by", "seconds")),
    "codec-changed": Meaning(
        "info", "The codec agreed on changed in the call. Names as in SDP.", ("by", "before", "after")
    ),
    "media-address-changed": Meaning(
        "info", "One side moved its media to another address.", ("by", "before", "after")
    ),
    "ptime-changed": Meaning(
        "info", "The packet time changed in the call, in ms.", ("by", "before", "after")
    ),
    "t38-switch": Meaning("info", "The call became a fax by T.38; its RTP pauses.", ("by",)),
    "t38-refused": Meaning("warning", "T.38 was refused.", ("status", "by")),
    "early-media": Meaning(
        "info", "Media was agreed on before the answer (18x with SDP).", ("status", "seconds")
    ),
    "several-early-dialogs": Meaning(
        "info", "The call was forked: several called sides answered provisionally.", ("count",)
    ),
    "late-offer": Meaning("info", "INVITE without SDP: the called side made the offer.", ()),
    "offer-unanswered": Meaning(
        "fault", "An offer never got its answer: 200 or ACK without the SDP it owed.", ("by",)
    ),
    "clipping-risk": Meaning(
        "warning", "The answer's SDP or the ACK came so late that the first words can be lost.", ("seconds",)
    ),
    "media-late": Meaning(
        "warning",
        "One side's media began more than 1 s after the answer (RTP in the capture).",
        ("by", "seconds"),
    ),
    "call-transferred": Meaning("info", "REFER: one side asked the other to call a third.", ("by", "status")),
    "transfer-failed": Meaning(
        "warning", "REFER was refused, or its NOTIFY told a failure.", ("by", "status")
    ),
    "post-dial-delay": Meaning(
        "warning", "More than 8 s until ringing (the mean that ITU-T E.721 allows abroad).", ("seconds",)
    ),
    # Addresses
    "contact-differs-from-source": Meaning(
        "warning",
        "Contact has a private address while the packet came from another one: NAT without help.",
        ("by", "contact", "source"),
    ),
    "via-differs-from-source": Meaning(
        "info", "Via names another address than the packet came from: NAT.", ("by", "via", "source")
    ),
    "sdp-address-private": Meaning(
        "warning",
        "c= has a private address while the packet came from a public one: media sent there is lost.",
        ("by", "address", "port", "source"),
    ),
    "sdp-differs-from-source": Meaning(
        "info", "c= names another host than the one that signals.", ("by", "address", "port", "source")
    ),
    "sdp-address-unusable": Meaning(
        "fault", "c= is loopback, link-local, multicast or no address at all.", ("by", "address", "port")
    ),
    "sdp-rewritten-between-hops": Meaning(
        "info",
        "The media address or port of one SDP differs at two hops: a relay, or an ALG.",
        ("by", "before", "after", "at"),
    ),
    "alg-rewrite": Meaning(
        "warning",
        "A router changed the message: addresses disagree with each other, or Content-Length with the body.",
        ("by", "what", "before", "after"),
    ),
    "content-length-wrong": Meaning(
        "warning", "The body has another length than Content-Length says.", ("by", "told", "octets")
    ),
    # The capture itself
    "begins-in-the-call": Meaning("info", "The capture begins after the call: set-up is not in it.", ()),
    "ends-in-the-call": Meaning(
        "info", "The capture ends before the call does, or its end is not in it.", ()
    ),
    "several-hops": Meaning("info", "The call's messages were seen at several hops.", ("count",)),
    "messages-seen-twice": Meaning("info", "The capture holds the same packets twice.", ("count",)),
    "malformed-messages": Meaning(
        "warning", "Messages that break the grammar of SIP or SDP.", ("count", "what")
    ),
    "only-one-direction": Meaning("warning", "Only one side's signalling is in the capture.", ("by",)),
    # Beside calls
    "registration-failed": Meaning("fault", "A registration was refused for good.", ("status", "count")),
    "registration-authentication-failed": Meaning(
        "fault", "A registration's credentials were refused.", ("status", "count")
    ),
    "registration-unanswered": Meaning("fault", "REGISTER got no answer.", ("count", "address")),
    "options-unanswered": Meaning(
        "warning", "OPTIONS got no answer: the peer is away or filtered.", ("count", "address")
    ),
    "subscription-failed": Meaning(
        "info", "SUBSCRIBE or PUBLISH was refused.", ("status", "count", "method")
    ),
    "scan-suspected": Meaning(
        "warning", "Requests to many numbers or accounts from one address.", ("count", "address")
    ),
}


def finding(code: str, at_ns: Nanoseconds, text: str, **data: float | int | str) -> Finding:
    """A finding of a code of the table, as grave as the table says."""
    return Finding(code, text, at_ns, CODES[code].severity, data or None)
