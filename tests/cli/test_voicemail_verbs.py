"""`ringback voicemail`: how full mailboxes are, and PINs that were forgotten; never what was said."""

from ringback.governance.private import Private


def test_mailboxes_are_listed_shown_and_forget_their_pin(ringback, server):
    assert ringback("voicemail", "list").out.startswith("No extension has a mailbox; ")
    ringback("extension", "add", "1001")
    assert ringback("plan", "set", "mailbox", "1001", "e_mail=ada@example.com").code == 0
    server.do(server.mailboxes.set_pin("1001", Private("907162")))
    (box,) = ringback("voicemail", "list", "--json").json
    assert (box["extension"], box["new"], box["has_pin"], box["told_by_mail"]) == ("1001", 0, True, "notice")
    assert "chosen" in ringback("voicemail", "show", "1001").out
    assert "call *97" in ringback("voicemail", "reset-pin", "1001").out
    assert ringback("voicemail", "show", "1001", "--json").json["has_pin"] is False
    for verb in ("show", "reset-pin"):
        unknown = ringback("voicemail", verb, "1002")
        assert (unknown.code, unknown.err) == (1, "ringback: this extension has no mailbox\n")
    again = ringback("voicemail", "reset-pin", "1001")
    assert (again.code, again.err) == (1, "ringback: this mailbox has no PIN\n")


def test_without_a_server_there_is_nothing_to_say(ringback):
    assert ringback("voicemail", "list").code == 3
