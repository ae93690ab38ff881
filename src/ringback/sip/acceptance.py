"""The checks of a request before anybody acts on it (RFC 3261 §8.2.1 to §8.2.3, §16.3 for Max-Forwards)."""

from __future__ import annotations

from ringback.sip.agent import SDP, EndpointSettings
from ringback.sip.message import KNOWN_METHODS, Headers, Request
from ringback.sip.registration import REGISTRAR_TAGS

_ACCEPTABLE_BODIES = frozenset({SDP, "application/*", "*/*"})
# Methods whose body has to be SDP; others bring what their application knows.
_SDP_METHODS = frozenset({"INVITE", "UPDATE", "PRACK"})


def refusal(request: Request, settings: EndpointSettings) -> tuple[int, Headers] | None:
    """Status and header fields of the answer to a request that we do not serve; None when we do."""
    method = request.method
    if method not in settings.allow and method not in settings.screened:
        status = 405 if method in KNOWN_METHODS else 501
        return status, Headers(("Allow", ", ".join(settings.allow)))
    if request.uri.scheme not in settings.schemes:
        return 416, Headers()
    if request.max_forwards == 0:
        return 483, Headers()
    known = settings.option_tags if method != "REGISTER" else (*settings.option_tags, *REGISTRAR_TAGS)
    required = request.headers.fields.get("Require", ())
    unknown = [tag for tag in required if tag and tag not in known]
    if unknown:
        return 420, Headers(("Unsupported", ", ".join(unknown)))
    return _refused_body(request)


def _refused_body(request: Request) -> tuple[int, Headers] | None:
    headers = request.headers
    if request.body and not _optional(request):
        codings = [coding.lower() for coding in headers.get_all("Content-Encoding")]
        if any(coding not in ("", "identity") for coding in codings):
            return 415, Headers(("Accept-Encoding", "identity"))
        if request.method in _SDP_METHODS and request.content_type != SDP:
            return 415, Headers(("Accept", SDP))
    if request.method == "INVITE" and "Accept" in headers:
        wanted = {value.partition(";")[0].strip(" \t").lower() for value in headers.get_all("Accept")}
        if not wanted & _ACCEPTABLE_BODIES:
            return 406, Headers(("Accept", SDP))
    return None


def _optional(request: Request) -> bool:
    """True when the body may be ignored by who does not understand it (RFC 3261 §20.11)."""
    disposition = (request.headers.get("Content-Disposition") or "").replace(" ", "").lower()
    return ";handling=optional" in disposition


def sdp_of(message_type: str | None, body: bytes) -> bytes | None:
    """The body when it is SDP, else None."""
    return body if body and message_type == SDP else None
