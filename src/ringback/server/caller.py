"""Who calls: what meetings and phones are told of a caller (RFC 3323, RFC 3325)."""

from __future__ import annotations

from msgspec.structs import replace

from ringback.call.party import Party
from ringback.conference.visits import Visit
from ringback.governance.private import Private
from ringback.governance.shown import fit_to_show
from ringback.sip.answer_mode import ask_to_answer
from ringback.sip.headers import Headers
from ringback.sip.identity import ANONYMOUS, asserted_identity, is_anonymous, user_of, wants_privacy
from ringback.sip.message import Request
from ringback.sip.uri import NameAddr


def party_of(
    request: Request,
    account: str | None = None,
    visit: Visit | None = None,
    *,
    trunk: str | None = None,
    device: str = "",
) -> Party:
    """The caller as it is known: by its account, by the word of a peer, by its own.

    Of identities that peers assert only those of trusted ones are still in the request.
    """
    if visit is not None:
        # A visitor has a name and no number.
        return Party(Private(""), Private(visit.name), account)
    asserted = asserted_identity(request.headers) if account is None else None
    said = asserted or request.from_
    return Party(
        Private(account or fit_to_show(user_of(said))),
        Private(fit_to_show(said.display or request.from_.display)),
        account,
        trunk,
        hidden=is_anonymous(request.from_) or wants_privacy(request.headers),
        device=device,
    )


def shown(party: Party) -> Party:
    """The caller as others see it: without number and name if it wants to stay unknown."""
    if not party.hidden:
        return party
    return replace(party, number=Private(""), name=Private(ANONYMOUS.display))


def fields_for(
    caller: NameAddr, host: str, *, hidden: bool, trusted: bool, answers_itself: bool
) -> tuple[NameAddr, Headers]:
    """From and further fields of a call to one device.

    A trusted peer is told who calls in any case, and that it may not tell it on (RFC 3325 §7).
    """
    headers = Headers()
    if trusted:
        headers.add("P-Asserted-Identity", str(caller))
        headers.add("Privacy", "id" if hidden else "none")
    if answers_itself:
        ask_to_answer(headers, host)
    return (ANONYMOUS if hidden else caller), headers
