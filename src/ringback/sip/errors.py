"""The errors of the SIP core, each with the status it becomes when a peer caused it (RFC 3261 §21).

SipError
├── SipSyntaxError     400  text that the grammar of RFC 3261 §25 does not allow; caught by the parser
└── SessionStateError  —    our own application asked a session for what its state does not allow
"""

from __future__ import annotations


class SipError(Exception):
    """Root of the tree; never raised itself."""

    status: int | None = None


class SipSyntaxError(SipError, ValueError):
    """A header field or URI that cannot be read. Does not leave the parser: it becomes a `Malformed`."""

    status = 400


class SessionStateError(SipError, RuntimeError):
    """A broken invariant of the caller, for example accepting a call twice; costs that call only."""
