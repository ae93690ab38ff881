"""What the SIP core asks the outside to do or tells the application: the effects of RFC 3261 machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from ringback.sip.flow import Flow
    from ringback.sip.message import NameAddr, Request, Response
    from ringback.sip.replaces import Replaces
    from ringback.sip.session import InviteSession

EndedBy = Literal["peer", "us", "timeout", "error"]


class Transmit(msgspec.Struct, frozen=True, gc=False):
    """Send `data` by `flow`; on a stream with `flow.id` 0 a connection to `flow.remote` is opened first."""

    flow: Flow
    data: bytes

    def __repr__(self) -> str:
        # The data names people and numbers.
        return f"Transmit({self.flow}, {len(self.data)} bytes)"


class RequestArrived(msgspec.Struct, frozen=True):
    """A request for the application, which answers it with `Endpoint.respond` within 64*T1 (32 s)."""

    transaction_id: str
    request: Request
    flow: Flow


class IncomingCall(msgspec.Struct, frozen=True):
    """An INVITE that begins a call; 100 has been sent. Its body is SDP, or empty for a late offer.

    `replaced` is the call of ours whose place it asks to take (RFC 3891): who lets it come in ends that one.
    """

    session: InviteSession
    request: Request
    flow: Flow
    replaced: InviteSession | None = None


class Ringing(msgspec.Struct, frozen=True):
    """A provisional response (101 to 199) to our call, with its SDP if any."""

    session: InviteSession
    status: int
    sdp: bytes | None


class Answered(msgspec.Struct, frozen=True):
    """Our call was answered. `sdp` is the answer; for a call made without SDP it is the peer's offer, and
    the call waits for `session.answer_offer`.
    """

    session: InviteSession
    sdp: bytes | None


class Failed(msgspec.Struct, frozen=True):
    """Our call was not answered; `response` is None when none came. An `Ended` follows at once."""

    session: InviteSession
    status: int
    reason: str
    response: Response | None


class Confirmed(msgspec.Struct, frozen=True):
    """The ACK to our 200 came; `sdp` is the answer when ours was the offer."""

    session: InviteSession
    sdp: bytes | None


class OfferReceived(msgspec.Struct, frozen=True):
    """The peer offers anew (or, with `sdp` None, asks us to); wants `answer_offer` or `reject_offer`.

    `request` is the peer's re-INVITE, or ours when it went without SDP and its 200 brought the offer.
    """

    session: InviteSession
    sdp: bytes | None
    request: Request


class OfferAnswered(msgspec.Struct, frozen=True):
    """The answer to an offer of ours within the call."""

    session: InviteSession
    sdp: bytes | None


class OfferFailed(msgspec.Struct, frozen=True):
    """The peer refused our re-INVITE; the call goes on as it was (RFC 3261 §14.1)."""

    session: InviteSession
    status: int


class InfoReceived(msgspec.Struct, frozen=True):
    """An INFO within the call; it has been answered. `content_type` is "" when there was no body."""

    session: InviteSession
    content_type: str
    body: bytes


class ReferReceived(msgspec.Struct, frozen=True):
    """The peer asks us to call `refer_to` (RFC 3515); wants `accept_refer` or `reject_refer`.

    `replaces` is the dialog that the new call shall replace: an attended transfer.
    """

    session: InviteSession
    refer_to: NameAddr
    referred_by: NameAddr | None
    replaces: Replaces | None

    def __repr__(self) -> str:
        # The rest says who talks to whom.
        return f"ReferReceived({self.session!r})"


class ReferProgress(msgspec.Struct, frozen=True):
    """How the call fares that we asked the peer for; after `done` nothing more is told.

    A REFER that was refused is done with that status, one that the peer took without telling more with 202;
    408 means that nothing was heard in time.
    """

    session: InviteSession
    status: int
    reason: str
    done: bool


class Ended(msgspec.Struct, frozen=True):
    """The call is over; comes exactly once for each session. `cause` is the peer's Reason (RFC 3326), as
    `Q.850;cause=16`."""

    session: InviteSession
    by: EndedBy
    status: int | None
    reason: str
    cause: str = ""


class PeerChanged(msgspec.Struct, frozen=True):
    """Somebody else talks at the other side from now on, as its From says (RFC 4916); told where
    `from-change` is supported."""

    session: InviteSession
    who: NameAddr


class InviteRefused(msgspec.Struct, frozen=True):
    """An INVITE that was to begin a call was refused by the endpoint itself; told where its settings say so.
    `malformed`: `request` has what could be read of it, and header fields may be missing or wrong."""

    request: Request
    flow: Flow
    status: int
    reason: str
    malformed: bool


class ResponseArrived(msgspec.Struct, frozen=True):
    """A response, provisional ones too, to a request sent with `Endpoint.request`."""

    transaction_id: str
    response: Response


class RequestTimedOut(msgspec.Struct, frozen=True):
    """A request sent with `Endpoint.request` got no final answer in time (408), or its connection broke or
    could not be made (503)."""

    transaction_id: str
    status: int = 408


Effect = (
    Transmit
    | RequestArrived
    | IncomingCall
    | Ringing
    | Answered
    | Failed
    | Confirmed
    | OfferReceived
    | OfferAnswered
    | OfferFailed
    | InfoReceived
    | ReferReceived
    | ReferProgress
    | Ended
    | PeerChanged
    | InviteRefused
    | ResponseArrived
    | RequestTimedOut
)
