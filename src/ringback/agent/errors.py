"""What can go wrong for who uses an agent, each with what to look at.

AgentError
├── RegistrationFailedError  the server did not take the registration
├── CallFailedError          a call of ours was not answered
├── CallEndedError           the call was over before what was asked for was done
├── ChangeRefusedError       the peer refused hold, resume or another offer; the call goes on
├── TransferFailedError      the peer did not reach whom it was sent to; the call goes on
├── SoundError               what was to be played cannot be
└── PatienceError            nothing happened in the time that was given
"""

from __future__ import annotations

from ringback.sip.message import REASONS

_HINTS = {
    401: "the server does not take this user name and password",
    403: "the server does not allow it: is the user name the account's own, the password right?",
    404: "the server knows nobody by that number",
    407: "the proxy does not take this user name and password",
    408: "no answer came: is the address right, and does a firewall let the answer through?",
    480: "nobody can be reached there now",
    486: "busy",
    488: "no codec or encryption in common: see `codecs` and `srtp`",
    503: "the server cannot be reached: is it running, and is its certificate trusted (`ca`, `verify`)?",
    603: "declined",
}


class AgentError(Exception):
    """Root of the tree; never raised itself."""


class _StatusError(AgentError):
    """An outcome with a SIP status; 0 where there is none."""

    what = ""

    def __init__(self, status: int, reason: str = "") -> None:
        self.status = status
        self.reason = reason or REASONS.get(status, "")
        hint = _HINTS.get(status)
        said = f"{status} {self.reason}".strip() if status else self.reason
        super().__init__(f"{self.what}: {said}" + (f" ({hint})" if hint else ""))


class RegistrationFailedError(_StatusError):
    """The server did not take the registration."""

    what = "not registered"


class CallFailedError(_StatusError):
    """A call of ours was not answered."""

    what = "the call failed"


class CallEndedError(_StatusError):
    """The call was over before what was asked for was done."""

    what = "the call is over"


class ChangeRefusedError(_StatusError):
    """The peer refused another offer; the call goes on as it was."""

    what = "the peer refused the change"


class TransferFailedError(_StatusError):
    """The peer did not reach whom it was to call; our call with it goes on."""

    what = "the transfer failed"


class SoundError(AgentError):
    """What was to be played cannot be; the text says why."""


class PatienceError(AgentError, TimeoutError):
    """Nothing happened in the time that was given."""
