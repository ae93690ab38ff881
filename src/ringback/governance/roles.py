"""Who may do what: roles, the permissions they carry, and the identity that a request is made with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Role(Enum):
    """What somebody is to the system; the value is the name used in the API and on the command line."""

    ADMIN = "admin"
    HELPDESK = "helpdesk"
    AUDITOR = "auditor"
    USER = "user"


class Permission(Enum):
    """An act that a route or a page needs to be allowed."""

    PEOPLE_READ = "people:read"
    PEOPLE_WRITE = "people:write"
    EXTENSIONS_READ = "extensions:read"
    EXTENSIONS_WRITE = "extensions:write"
    DEVICES_READ = "devices:read"
    DEVICES_WRITE = "devices:write"
    DEVICE_ADDRESSES_READ = "device-addresses:read"
    """See from which network address a device has registered."""
    PLAN_READ = "plan:read"
    PLAN_WRITE = "plan:write"
    """Decide how calls go: groups, queues, hours, routes and the like."""
    TRUNKS_READ = "trunks:read"
    TRUNKS_WRITE = "trunks:write"
    MEETINGS_READ = "meetings:read"
    MEETINGS_WRITE = "meetings:write"
    MEETING_SECRETS_READ = "meeting-secrets:read"
    """See PINs and links."""
    PARTICIPANTS_READ = "participants:read"
    PARTICIPANTS_CONTROL = "participants:control"
    CALLS_READ = "calls:read"
    NUMBERS_READ = "numbers:read"
    """See callers' numbers in full; without it they are masked."""
    REGISTRATIONS_READ = "registrations:read"
    BANS_READ = "bans:read"
    BANS_WRITE = "bans:write"
    STATUS_READ = "status:read"
    EVENTS_READ = "events:read"
    METRICS_READ = "metrics:read"
    SIP_TRACE_READ = "sip-trace:read"
    """Watch SIP messages, masked."""
    SIP_TRACE_REVEAL = "sip-trace:reveal"
    """Watch SIP messages as they are; every use is told to all."""
    TOKENS_READ = "tokens:read"
    TOKENS_WRITE = "tokens:write"
    ADMINISTRATORS_WRITE = "administrators:write"
    LOGINS_READ = "logins:read"
    LOGINS_WRITE = "logins:write"
    """Decide who may log in, and as what."""
    VOICEMAIL_READ = "voicemail:read"
    """See how much lies in everybody's mailbox, and nothing of what was said."""
    VOICEMAIL_WRITE = "voicemail:write"
    """Let a mailbox forget its PIN."""
    VOICEMAIL_REVEAL = "voicemail:reveal"
    """Hear messages of others, with a reason that is written down; every use is told to all."""
    VOICEMAIL_ARCHIVES = "voicemail-archives:delete"
    """Delete before its time what former holders of extensions left behind."""
    RECORDINGS_READ = "recordings:read"
    """See which recordings there are, of whom, who consented, and who played them."""
    RECORDINGS_PLAY = "recordings:play"
    """Play those whose policy names the role among its players; every time is written down."""
    RECORDINGS_HOLD = "recordings:hold"
    """Put recordings under legal hold, and release them."""
    RECORDINGS_DELETE = "recordings:delete"
    RECORDING_POLICIES_APPROVE = "recording-policies:approve"
    """Approve what somebody else wrote about who is recorded."""
    BACKUPS_READ = "backups:read"
    """See which backups there are, and what was done with them."""
    BACKUPS_WRITE = "backups:write"
    """Have backups made and deleted."""
    DIAGNOSES_WRITE = "diagnoses:write"
    """Upload captures, which hold what was said, and read what is found in them."""


PERMISSIONS: Final[dict[Role, frozenset[Permission]]] = {
    # Who runs the system does not decide alone what is left of people who went.
    Role.ADMIN: frozenset(Permission) - {Permission.VOICEMAIL_ARCHIVES},
    Role.HELPDESK: frozenset(
        {
            Permission.PEOPLE_READ,
            Permission.EXTENSIONS_READ,
            Permission.DEVICES_READ,
            Permission.DEVICE_ADDRESSES_READ,
            Permission.PLAN_READ,
            Permission.TRUNKS_READ,
            Permission.MEETINGS_READ,
            Permission.PARTICIPANTS_READ,
            Permission.PARTICIPANTS_CONTROL,
            Permission.CALLS_READ,
            Permission.NUMBERS_READ,
            Permission.REGISTRATIONS_READ,
            Permission.BANS_READ,
            Permission.VOICEMAIL_READ,
            Permission.STATUS_READ,
            Permission.EVENTS_READ,
            Permission.METRICS_READ,
            Permission.SIP_TRACE_READ,
            Permission.RECORDINGS_PLAY,
        }
    ),
    Role.AUDITOR: frozenset(
        {
            Permission.PEOPLE_READ,
            Permission.EXTENSIONS_READ,
            Permission.DEVICES_READ,
            Permission.PLAN_READ,
            Permission.TRUNKS_READ,
            Permission.MEETINGS_READ,
            Permission.PARTICIPANTS_READ,
            Permission.CALLS_READ,
            Permission.REGISTRATIONS_READ,
            Permission.BANS_READ,
            Permission.VOICEMAIL_READ,
            Permission.VOICEMAIL_ARCHIVES,
            Permission.STATUS_READ,
            Permission.EVENTS_READ,
            Permission.METRICS_READ,
            Permission.TOKENS_READ,
            Permission.LOGINS_READ,
            Permission.RECORDINGS_READ,
            Permission.RECORDINGS_PLAY,
            Permission.RECORDINGS_HOLD,
            Permission.RECORDING_POLICIES_APPROVE,
            Permission.BACKUPS_READ,
        }
    ),
    Role.USER: frozenset({Permission.PEOPLE_READ, Permission.MEETINGS_READ, Permission.RECORDINGS_PLAY}),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request: a name for the record, and a role.

    Where it is a person who is logged in, `person_id` says who, and `extensions` which numbers are the
    person's own now: voicemail and calls of these may be seen without any permission. `id` is what logs say
    in place of the name: which login or token it is.
    """

    name: str
    role: Role
    person_id: str | None = None
    extensions: tuple[str, ...] = ()
    id: str = ""

    @property
    def account(self) -> str | None:
        """The person's first extension."""
        return self.extensions[0] if self.extensions else None

    def owns(self, extension: str) -> bool:
        """Whether an extension is the person's own."""
        return extension in self.extensions

    def may(self, permission: Permission) -> bool:
        """Whether the role carries the permission."""
        return permission in PERMISSIONS[self.role]


LOCAL_ADMINISTRATOR: Final = Identity("local administrator", Role.ADMIN, id="local")
"""Whoever can open the control socket in the data folder: the file system has checked that already."""
