"""The shapes of the plan in the API: kinds, values with their revision, and what was changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from inspect import getdoc
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
from pydantic import Field

from ringback.governance.private import mask_number
from ringback.governance.roles import Identity, Permission
from ringback.store.directory import Directory, Extension
from ringback.store.plan.answering import Answering
from ringback.store.plan.document import document
from ringback.store.plan.plan import KINDS
from ringback.store.plan.titles import TITLES
from ringback.store.revisions import Difference, Entry, Page, Revision
from ringback.web.kept_out import NAMED_BY_EXTENSION, ExtensionIds
from ringback.web.shapes import Body, Search, View

_OUTSIDE: Final = re.compile(r"(outside:)([+0-9*#]+)")


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """What somebody may see of numbers outside that calls are sent to: many are people's own."""

    viewer: Identity
    extensions: Mapping[str, Extension] = field(default_factory=lambda: MappingProxyType({}))
    """By number."""

    def text(self, text: str) -> str:
        """A text of the plan, or all of it."""
        if self.viewer.may(Permission.NUMBERS_READ):
            return text
        return _OUTSIDE.sub(lambda found: found[1] + mask_number(found[2]), text)

    def fields(self, fields: dict[str, Any], name: str = "") -> dict[str, Any]:
        """The fields of a value; how the own extension `name` answers is seen in full."""
        if self.viewer.may(Permission.NUMBERS_READ) or self.viewer.owns(name):
            return fields
        return {field: self._plain(each) for field, each in fields.items()}

    def key(self, entry: Entry) -> str:
        """What stands for a value in a URL."""
        kind, name = entry.key
        extension = self.extensions.get(name) if kind in NAMED_BY_EXTENSION else None
        return extension.id if extension is not None else name

    def _plain(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        return {key: self._plain(each) for key, each in value.items()} if isinstance(value, dict) else value

    def page(self, page: Page, search: str) -> Page:
        """Without what only a number has found: who may not see them could try them out."""
        wanted = search.casefold()
        seen = [entry for entry in page.entries if wanted in self.text(entry.text)]
        return page if len(seen) == len(page.entries) else replace(page, entries=seen, total=len(seen))


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
    key: str = Field(
        description="What does for its name in a URL: of answering and mailbox the extension's id."
    )
    changed_at: datetime
    changed_by: str

    @classmethod
    def of(cls, entry: Entry, reader: ShownPlan) -> ValueView:
        """A value as the reader may see it."""
        own = entry.value.name if isinstance(entry.value, Answering) else ""
        return cls(
            name=entry.value.name,
            value=reader.fields(document(entry.value), own),
            revision=entry.revision,
            key=reader.key(entry),
            changed_at=entry.changed_at,
            changed_by=entry.changed_by,
        )


class ValuesPage(View):
    """Values by name; `next` is the `after` of the next page, null at the end."""

    items: list[ValueView]
    total: int
    next: str | None

    @classmethod
    def of(cls, page: Page, reader: ShownPlan) -> ValuesPage:
        """A page as the reader may see it."""
        items = [ValueView.of(entry, reader) for entry in page.entries]
        return cls(items=items, total=page.total, next=page.next)


class ValueSearch(Search):
    """Which values of a kind, and which page of them."""

    limit: int = Field(default=100, ge=1, le=1000)


class HistorySearch(Body):
    """Whose changes, and which of them."""

    kind: str = Field(
        default="", max_length=64, description="A kind of the plan; or of what else has a history."
    )
    name: str = Field(
        default="",
        max_length=64,
        description="Of extensions and of what they have the number or the extension's id, of trunks and "
        "values the name, of others the id.",
    )
    before: int | None = Field(default=None, description="Only revisions before this one.", ge=0, lt=1 << 63)
    limit: int = Field(default=100, ge=1, le=1000)

    def plain_name(self, directory: Directory) -> str:
        """The name as the history has it."""
        if self.kind not in NAMED_BY_EXTENSION:
            return self.name
        return ExtensionIds().number(self.name, directory)


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
    def of(cls, revision: Revision, reader: ShownPlan) -> RevisionView:
        """A change as the reader may see it."""
        fields = {name: getattr(revision, name) for name in cls.model_fields if name != "revision_id"}
        for name in ("before", "after"):
            fields[name] = None if fields[name] is None else reader.fields(fields[name])
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
