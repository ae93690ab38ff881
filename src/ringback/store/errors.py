"""What can go wrong in the store, as one tree; each error carries the HTTP status that it becomes.

StoreError 500
├── NotFoundError 404
├── ConflictError 409
├── InvalidError 422
│   └── InvalidValueError 422
└── DatabaseUnusableError 503
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field; `field` is a path such as `members.2`, empty for the whole."""

    field: str
    message: str


class InvalidValueError(InvalidError):
    """Fields are outside the rules; `problems` has them all, the message the first of them."""

    def __init__(self, what: str, problems: Sequence[FieldProblem]) -> None:
        shown = [f"{each.field}: {each.message}" if each.field else each.message for each in problems[:5]]
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        super().__init__(f"{what}: {'; '.join(shown)}{more}")
        self.problems = tuple(problems)


class DatabaseUnusableError(StoreError):
    """The database cannot be opened or used now, is newer than this program, or belongs to another key."""

    status = 503
