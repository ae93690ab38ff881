"""A SIP user agent for Python programs: registers, calls, answers, hears and speaks (docs/agent.md)."""

from ringback.agent.edge.call import Call
from ringback.agent.edge.heard import Heard
from ringback.agent.edge.station import Station
from ringback.agent.edge.user_agent import UserAgent
from ringback.agent.errors import (
    AgentError,
    CallEndedError,
    CallFailedError,
    ChangeRefusedError,
    PatienceError,
    RegistrationFailedError,
    SoundError,
    TransferFailedError,
)
from ringback.agent.events import (
    Answered,
    CallEvent,
    Changed,
    ChangeFailed,
    DigitReceived,
    Ended,
    Held,
    PeerChanged,
    Ringing,
    TransferProgress,
    Transferred,
)
from ringback.governance.private import Private

__all__ = [
    "AgentError",
    "Answered",
    "Call",
    "CallEndedError",
    "CallEvent",
    "CallFailedError",
    "ChangeFailed",
    "ChangeRefusedError",
    "Changed",
    "DigitReceived",
    "Ended",
    "Heard",
    "Held",
    "PatienceError",
    "PeerChanged",
    "Private",
    "RegistrationFailedError",
    "Ringing",
    "SoundError",
    "Station",
    "TransferFailedError",
    "TransferProgress",
    "Transferred",
    "UserAgent",
]
