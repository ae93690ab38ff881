"""The bodies of event packages: dialog-info (RFC 4235) and message summaries (RFC 3842)."""

from __future__ import annotations

from contextlib import suppress
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.dialog_info import (
    MAX_DIALOGS,
    MAX_DOCUMENT,
    DialogState,
    gone,
    read_dialog_info,
    write_dialog_info,
)
from ringback.sip.errors import SipSyntaxError
from ringback.sip.event import Event, SubscriptionState
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.message_summary import Mailbox, write_message_summary
from ringback.sip.refer import status_of
from ringback.sip.replaces import Replaces, replaces_of_uri

ENTITY = SipUri(user="101", host="example.com")
SPACE = "{urn:ietf:params:xml:ns:dialog-info}"


def test_a_dialog_is_told_with_what_the_watcher_may_know() -> None:
    remote = NameAddr(SipUri(user="102", host="example.com"), 'Bob "<&>\x07')
    known = DialogState("7", "confirmed", True, "call", "local", "remote", remote)
    masked = DialogState("8", "early", False)
    root = ElementTree.fromstring(write_dialog_info(ENTITY, 3, [known, masked]))
    assert (root.tag, root.get("version"), root.get("state")) == (f"{SPACE}dialog-info", "3", "full")
    assert root.get("entity") == "sip:101@example.com"
    first, second = root
    assert first.attrib == {
        "id": "7",
        "call-id": "call",
        "local-tag": "local",
        "remote-tag": "remote",
        "direction": "initiator",
    }
    identity = first.find(f"{SPACE}remote/{SPACE}identity")
    assert identity is not None
    assert identity.text == "sip:102@example.com"
    assert identity.get("display") == 'Bob "<&>'
    assert second.attrib == {"id": "8", "direction": "recipient"}
    assert second.findtext(f"{SPACE}state") == "early"
    assert second.find(f"{SPACE}remote") is None


def test_what_is_written_can_be_read() -> None:
    dialogs = [
        DialogState(
            "7", "confirmed", True, "call", remote=NameAddr(SipUri(user="102", host="example.com"), "B")
        ),
        DialogState("8", "terminated", False),
    ]
    assert read_dialog_info(write_dialog_info(ENTITY, 0, dialogs)) == dialogs


def test_calls_that_are_over_are_said_so_once() -> None:
    talking, ringing = DialogState("1", "confirmed", True), DialogState("2", "early", False)
    assert gone([talking, ringing], [ringing]) == [DialogState("1", "terminated", True)]
    assert gone([DialogState("1", "terminated", True)], []) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"<dialog-info",
        b"<other/>",
        b'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"><dialog id="1"/></dialog-info>',
        b'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"><dialog id="1"><state>odd</state></dialog>'
        b"</dialog-info>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"/>',
        b'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"><dialog id="1"><state>early</state>'
        b"<remote><identity>not a uri</identity></remote></dialog></dialog-info>",
        b"<a>" * 5000,
        b" " * (MAX_DOCUMENT + 1),
    ],
)
def test_documents_that_are_none_are_refused(body: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        read_dialog_info(body)


def test_of_many_dialogs_only_some_are_believed() -> None:
    many = [DialogState(str(number), "early") for number in range(100)]
    assert len(read_dialog_info(write_dialog_info(ENTITY, 0, many))) == MAX_DIALOGS


@given(st.text())
def test_no_text_raises_anything_but_a_syntax_error(text: str) -> None:
    for read in (Event.parse, SubscriptionState.parse, Replaces.parse):
        with suppress(SipSyntaxError):
            read(text)
    with suppress(SipSyntaxError):
        replaces_of_uri(SipUri(user="101", headers=text))


@given(st.binary())
def test_no_body_raises_anything_but_a_syntax_error(body: bytes) -> None:
    status_of(body)
    for document in (body, body.join((b'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info">', b"<!--"))):
        with suppress(SipSyntaxError):
            read_dialog_info(document)


def test_a_mailbox_says_how_many_messages_wait() -> None:
    assert write_message_summary(ENTITY, None) == b"Messages-Waiting: no\r\n"
    assert write_message_summary(ENTITY, Mailbox(new=2, old=8, new_urgent=1)) == (
        b"Messages-Waiting: yes\r\nMessage-Account: sip:101@example.com\r\nVoice-Message: 2/8 (1/0)\r\n"
    )
    assert write_message_summary(ENTITY, Mailbox(old=1)).startswith(b"Messages-Waiting: no\r\n")
