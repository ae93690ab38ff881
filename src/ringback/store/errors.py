"""What can go wrong in the store, as one tree; each error carries the HTTP status that it becomes.

StoreError 500
├── NotFoundError 404
├── ConflictError 409
├── InvalidError 422
└── DatabaseUnusableError 503
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of all; the message is one sentence for a person and holds nothing private."""

    status = 500


class NotFoundError(StoreError):
    """No such thing."""

    status = 404


class ConflictError(StoreError):
    """The number or name is already taken."""

    status = 409


class InvalidError(StoreError):
    """A value is outside the rules."""

    status = 422


class DatabaseUnusableError(StoreError):
    """The database cannot be opened, is newer than this program, or belongs to another key."""

    status = 503
