"""Who may do what in a meeting: roles, and the keys and controls each of them has."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Role(Enum):
    """A person's part in a meeting; on the phone the PIN decides it."""

    HOST = "host"
    GUEST = "guest"


class Permission(Enum):
    """An act that changes the meeting for others; acts upon oneself need none."""

    ENTER_LOCKED = "enter a locked meeting"
    ENTER_DIRECTLY = "enter without waiting in the lobby"
    LOCK = "lock and unlock the meeting"
    ADMIT = "admit from the lobby"
    MUTE_OTHERS = "mute others"
    REMOVE = "remove others"


PERMISSIONS: Final[dict[Role, frozenset[Permission]]] = {
    Role.HOST: frozenset(Permission),
    Role.GUEST: frozenset(),
}


def may(role: Role, permission: Permission) -> bool:
    """Say whether the role carries the permission."""
    return permission in PERMISSIONS[role]
