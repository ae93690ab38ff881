"""Documents that tell which dialogs somebody has: `application/dialog-info+xml` (RFC 4235 §4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from ringback.sip.errors import SipSyntaxError
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.uri import parse_uri

DIALOG_INFO: Final = "application/dialog-info+xml"
MAX_DOCUMENT: Final = 16_384
"""A larger document of a peer is not read, in bytes."""
MAX_DIALOGS: Final = 16
"""Of a peer's dialogs no more are believed."""

_NAMESPACE: Final = "urn:ietf:params:xml:ns:dialog-info"
_LONGEST: Final = 128

State = Literal["trying", "early", "confirmed", "terminated"]
_STATES: Final[dict[str, State]] = {
    "trying": "trying", "proceeding": "early", "early": "early", "confirmed": "confirmed",
    "terminated": "terminated",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DialogState:
    """One dialog of somebody, as that side sees it; what the watcher may not know is None.

    `initiator` is True for who called. `call_id` and the tags name the dialog for Replaces (RFC 3891).
    """

    id: str
    state: State
    initiator: bool | None = None
    call_id: str | None = field(default=None, repr=False)
    local_tag: str | None = field(default=None, repr=False)
    remote_tag: str | None = field(default=None, repr=False)
    remote: NameAddr | None = field(default=None, repr=False)


def write_dialog_info(entity: SipUri, version: int, dialogs: Iterable[DialogState]) -> bytes:
    """The full state of an entity; `version` counts the documents of one subscription (§4.1)."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<dialog-info xmlns="{_NAMESPACE}" version="{version}" state="full"',
        f"  entity={_attribute(str(entity))}>",
    ]
    for dialog in dialogs:
        lines += _dialog(entity, dialog)
    return "\n".join([*lines, "</dialog-info>", ""]).encode("utf-8", "replace")


def _dialog(entity: SipUri, dialog: DialogState) -> list[str]:
    attributes = {
        "id": dialog.id,
        "call-id": dialog.call_id,
        "local-tag": dialog.local_tag,
        "remote-tag": dialog.remote_tag,
        "direction": None if dialog.initiator is None else "initiator" if dialog.initiator else "recipient",
    }
    written = "".join(f" {name}={_attribute(value)}" for name, value in attributes.items() if value)
    lines = [f"  <dialog{written}>", f"    <state>{dialog.state}</state>"]
    lines.append(f"    <local><identity>{_text(str(entity))}</identity></local>")
    if dialog.remote is not None:
        display = f" display={_attribute(dialog.remote.display)}" if dialog.remote.display else ""
        lines.append(f"    <remote><identity{display}>{_text(str(dialog.remote.uri))}</identity></remote>")
    return [*lines, "  </dialog>"]


def gone(before: Iterable[DialogState], after: Iterable[DialogState]) -> list[DialogState]:
    """Those of `before` that are not any more, as terminated: said once, for watchers that wait for it."""
    here = {dialog.id for dialog in after}
    return [
        replace(dialog, state="terminated")
        for dialog in before
        if dialog.id not in here and dialog.state != "terminated"
    ]


def read_dialog_info(body: bytes) -> list[DialogState]:
    """The dialogs in a peer's document, at most MAX_DIALOGS; raises SipSyntaxError.

    Document types are refused, for they can make a small text a large one.
    """
    try:
        text = body.decode()
        if len(body) > MAX_DOCUMENT or "<!DOCTYPE" in text:
            raise SipSyntaxError("no dialog-info that is read here")
        root = ElementTree.fromstring(text)  # noqa: S314 - short, and without a document type
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError) as error:
        raise SipSyntaxError("bad dialog-info") from error
    if root.tag != _named("dialog-info"):
        raise SipSyntaxError("not a dialog-info")
    return [_read(element) for element in root.findall(_named("dialog"))[:MAX_DIALOGS]]


def _read(element: ElementTree.Element) -> DialogState:
    state = _STATES.get((element.findtext(_named("state")) or "").strip().lower())
    if state is None or not element.get("id"):
        raise SipSyntaxError("a dialog without id or state")
    direction = element.get("direction")
    identity = element.find(f"{_named('remote')}/{_named('identity')}")
    remote = None
    if identity is not None and identity.text:
        uri = parse_uri(identity.text.strip()[:_LONGEST])
        remote = NameAddr(uri, (identity.get("display") or "")[:_LONGEST])
    return DialogState(
        id=(element.get("id") or "")[:_LONGEST],
        state=state,
        initiator=None if direction is None else direction == "initiator",
        call_id=(element.get("call-id") or "")[:_LONGEST] or None,
        remote=remote,
    )


def _named(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"


def _text(value: str) -> str:
    return escape(_printable(value))


def _attribute(value: str) -> str:
    return quoteattr(_printable(value))


def _printable(value: str) -> str:
    # XML 1.0 knows no control characters, in whatever way they are written.
    return "".join(character for character in value if character.isprintable())
