"""Days turn in a running server, also while the database is away; and what phones are told of this server."""

import pytest

from ringback.config import load_settings
from ringback.governance.private import Private
from ringback.server.holdings import HoldingKeeper
from ringback.server.provisioning import PhoneFiles
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
