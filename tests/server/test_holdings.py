"""Days turn in a running server, also while the database is away; and what phones are told of this server."""

from datetime import UTC, datetime
from functools import partial

import pytest

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.server.handing_over import hand_over
from ringback.server.holdings import HoldingKeeper
from ringback.server.provisioning import PhoneFiles
from ringback.store.errors import NotFoundError
from ringback.store.reassignments import Reassignment
from ringback.store.store import open_store
from ringback.web.provisioning import ProvisioningError


@pytest.fixture
async def store(tmp_path):
    opened = await open_store(load_settings(environ={}, data_dir=tmp_path / "data"))
    yield opened
    await opened.close()


async def test_when_a_day_turns_an_extension_changes_hands_once_the_database_is_back(store, tmp_path):
    store.holdings.today = lambda: "2026-01-31"
    ada, bob = await store.people.add("Ada"), await store.people.add("Bob")
    await store.extensions.add("1001", person_id=ada.id)
    await store.holdings.add("1001", bob.id, "2026-02-01")
    told = []

    async def listen(reassignment):
        told.append((reassignment.from_person, reassignment.to_person))

    store.on_reassigned(listen)
    keeper = HoldingKeeper(store)
    await keeper.settle()
    assert store.extensions.get("1001").person_id == ada.id
    store.holdings.today = lambda: "2026-02-01"
    await store.database.close()
    file = tmp_path / "data" / "ringback.db"
    file.rename(tmp_path / "away.db")
    file.mkdir()
    await keeper.settle()
    assert store.extensions.get("1001").person_id == ada.id
    file.rmdir()
    (tmp_path / "away.db").rename(file)
    await keeper.settle()
    assert store.extensions.get("1001").person_id == bob.id
    assert told == [(ada.id, bob.id)]
    await keeper.settle()
    assert len(told) == 1


async def test_who_held_an_extension_before_gets_none_of_its_calls_and_mail(store):
    ada = await store.people.add("Ada", e_mail="ada@example.com")
    bob = await store.people.add("Bob", e_mail="bob@example.com")
    await store.objects.put("role", "standard", {"forward_outside": True}, "a test")
    for number in ("1001", "1002"):
        await store.extensions.add(number, person_id=ada.id)
    for number in ("1001", "1002"):
        forwards = {"always": "outside:+14155550100", "busy": "extension:1002", "do_not_disturb": True}
        await store.objects.put("answering", number, forwards if number == "1001" else {}, "ada")
        mail = {"e_mail": "ada@example.com", "tell": "audio"}
        await store.objects.put("mailbox", number, mail, "ada")
    store.on_reassigned(partial(hand_over, store))

    await store.extensions.change("1001", no_person=True)
    answering = store.objects.get("answering", "1001").value
    assert (answering.always, answering.busy, answering.do_not_disturb) == ("", "extension:1002", False)
    assert store.objects.get("mailbox", "1001").value.e_mail == ""
    await store.extensions.change("1002", person_id=bob.id)
    with pytest.raises(NotFoundError):
        store.objects.get("answering", "1002")
    assert store.objects.get("mailbox", "1002").value.e_mail == "bob@example.com"

    # What somebody sets who holds it, or for who will, stays.
    await store.extensions.change("1001", person_id=bob.id)
    await store.objects.put("answering", "1001", {"always": "extension:1002"}, "bob")
    told = Reassignment("x", "", "1001", ada.id, bob.id, datetime(2026, 1, 1, tzinfo=UTC))
    await hand_over(store, told)
    assert store.objects.get("answering", "1001").value.always == "extension:1002"
    await store.objects.remove("answering", "1001", "a test")
    await store.extensions.remove("1001")


async def test_phones_are_told_where_this_server_is(store, tmp_path):
    await store.extensions.add("1001", display_name="Ada")
    device, password = await store.devices.add("Desk", "1001", model="T46U", mac="001565abcdef")

    def told(**environ):
        names = {f"RINGBACK_{name}": value for name, value in environ.items()}
        settings = load_settings(environ=names, data_dir=tmp_path / "data")
        files = PhoneFiles(
            settings, lambda: store.directory, lambda: "https://pbx.example.com", lambda: {"tls": 5063}
        )
        text = files.files(device, password)["001565abcdef.cfg"]
        return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)

    plain = told()
    assert plain["account.1.sip_server.1.address"] == "127.0.0.1"
    assert plain["account.1.sip_server.1.port"] == "5063"
    assert (plain["account.1.label"], plain["voice_mail.number.1"]) == ("Ada", "*97")
    assert plain["static.auto_provision.server.url"] == "https://pbx.example.com/provisioning"
    assert told(SIP__DOMAIN="sip.example.com")["account.1.sip_server.1.address"] == "sip.example.com"
    both = told(PROVISIONING__SERVER="a.example.com", PROVISIONING__SECOND_SERVER="b.example.com")
    assert [both[f"account.1.sip_server.{n}.address"] for n in (1, 2)] == ["a.example.com", "b.example.com"]
    udp = told(PROVISIONING__TRANSPORT="udp")
    assert (udp["account.1.sip_server.1.port"], udp["account.1.srtp_encryption"]) == ("5060", "0")
    settings = load_settings(environ={}, data_dir=tmp_path / "data")
    files = PhoneFiles(settings, lambda: store.directory, lambda: "")
    other, _ = await store.devices.add("Other", "1001")
    with pytest.raises(ProvisioningError, match="no MAC address"):
        files.files(other, Private("secret"))
