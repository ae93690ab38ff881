"""The shapes of the plan in the API: kinds, values with their revision, and what was changed."""

from __future__ import annotations

from datetime import datetime
from inspect import getdoc
from typing import Any, Literal

import msgspec
from pydantic import Field

from ringback.store.plan.document import document
from ringback.store.plan.plan import KINDS
from ringback.store.plan.titles import TITLES
from ringback.store.revisions import Difference, Entry, Page, Revision
from ringback.web.views import Body, View


class KindView(View):
    """A kind of values, with what a form needs."""

    kind: str = Field(examples=["group"])
    title: str = Field(examples=["Group"])
    plural: str = Field(examples=["Groups"])
    description: str
    has_number: bool = Field(description="Whether values of it can be dialled.")
    # `schema` itself is a name that models of pydantic have.
    schema_: dict[str, Any] = Field(serialization_alias="schema", description="JSON Schema of a value.")

    @classmethod
    def of(cls, kind: str) -> KindView:
        """A kind by its name."""
        title, plural = TITLES[kind]
        return cls(
            kind=kind,
            title=title,
            plural=plural,
            description=getdoc(KINDS[kind]) or "",
            has_number="number" in KINDS[kind].__struct_fields__,
            schema_=msgspec.json.schema(KINDS[kind]),
        )


class ValueView(View):
    """A value, and its last change."""

    name: str = Field(examples=["sales"])
    value: dict[str, Any] = Field(examples=[{"name": "sales", "members": ["1001"]}])
    revision: int = Field(description="For If-Match; and to be undone by.")
    changed_at: datetime
    changed_by: str

    @classmethod
    def of(cls, entry: Entry) -> ValueView:
        """A value as JSON."""
        return cls(
            name=entry.value.name,
            value=document(entry.value),
            revision=entry.revision,
            changed_at=entry.changed_at,
            changed_by=entry.changed_by,
        )


class ValuesPage(View):
    """Values by name; `next` is the `after` of the next page, null at the end."""

    items: list[ValueView]
    total: int
    next: str | None

    @classmethod
    def of(cls, page: Page) -> ValuesPage:
        """A page as JSON."""
        return cls(items=[ValueView.of(entry) for entry in page.entries], total=page.total, next=page.next)


class RevisionView(View):
    """A change of one value; null is what was not there."""

    revision_id: int
    kind: str
    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    changed_at: datetime
    changed_by: str
    undoes: int | None = Field(description="The revision that this one took back.")

    @classmethod
    def of(cls, revision: Revision) -> RevisionView:
        """A change as JSON."""
        fields = {name: getattr(revision, name) for name in cls.model_fields if name != "revision_id"}
        return cls(revision_id=revision.id, **fields)


class Undoing(Body):
    """Which change is taken back."""

    revision_id: int = Field(ge=0, lt=1 << 63)


class DifferenceView(View):
    """What applying a file does, or would do, to one value."""

    kind: str
    name: str
    act: Literal["add", "change", "remove"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Applied(View):
    """What applying a file did, or would do."""

    dry_run: bool
    changes: list[DifferenceView]

    @classmethod
    def of(cls, differences: list[Difference], dry_run: bool) -> Applied:
        """All of it as JSON."""
        changes = [DifferenceView.model_validate(each) for each in differences]
        return cls(dry_run=dry_run, changes=changes)
