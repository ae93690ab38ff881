"""Where a call may be sent to, written as people write it: `extension:1001`, `group:sales`, `hangup`."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, get_args

import msgspec

TargetKind = Literal[
    "extension",
    "group",
    "queue",
    "menu",
    "hours",
    "mailbox",
    "announcement",
    "meeting",
    "outside",
    "busy",
    "hangup",
]
KINDS: Final[tuple[TargetKind, ...]] = get_args(TargetKind)
ALONE: Final = frozenset({"busy", "hangup"})
"""Kinds that name nothing further."""

TargetText = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^(({'|'.join(k for k in KINDS if k not in ALONE)}):[^\s:]{{1,40}}|busy|hangup)?$",
        description="Where the call goes: extension:1001, group:sales, queue:support, menu:main, "
        "hours:office, mailbox:1001, announcement:closed, meeting:481516234, outside:+14155550100, "
        "busy, hangup; empty: nowhere.",
        examples=["extension:1001"],
    ),
]
"""A target in a document; empty stands for none."""


class Target(msgspec.Struct, frozen=True):
    """A parsed target: `name` is a number or the name of a value of that kind, empty for busy and hangup."""

    kind: TargetKind
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Target | None:
        """The target that `text` says, None for the empty text; raises ValueError for anything else."""
        if not text:
            return None
        kind, _, name = text.partition(":")
        if kind not in KINDS or bool(name) == (kind in ALONE) or re.search(r"\s", name):
            raise ValueError(f"{text!r} is not a target; write one as extension:1001, group:sales or hangup")
        return cls(kind, name)

    def __repr__(self) -> str:
        # The name may be a number.
        return f"Target({self.kind})"

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind
