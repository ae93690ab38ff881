"""What devices say they are, and what comes of their firmware."""

from datetime import UTC, datetime, timedelta

import pytest

from ringback.store.firmware import WantedFirmware, name_of, seen_version, wanted_of
from ringback.store.plan.phones import Firmware
from ringback.store.plan.plan import Plan
from ringback.store.store import open_store

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("user_agent", "version"),
    [
        ("Yealink SIP-T46U 108.86.0.45", "108.86.0.45"),
        ("PolycomVVX-VVX_450-UA/6.3.1.8427", "6.3.1.8427"),
        ("snomD785/10.1.135.0", "10.1.135.0"),
        ("Grandstream GXP2170 1.0.11.64", "1.0.11.64"),
        ("Cisco/SPA504G-7.6.2", "7.6.2"),
        ("baresip v1.0.0 (x86_64/linux)", "1.0.0"),
        ("Linphone/5.2.5 (belle-sip/5.3.1)", "5.2.5"),
        ("LinphoneAndroid/5.2.5-beta.1", "5.2.5"),
        ("A phone without", ""),
        ("Fanvil X4U", ""),
        ("", ""),
        ("1." * 60, "1.1.1.1.1.1"),
    ],
)
def test_the_version_is_read_from_what_phones_say(user_agent, version):
    assert seen_version(user_agent) == version


def test_the_longest_name_of_a_model_says_what_is_wanted():
    wanted = WantedFirmware({"Yealink": "1.1", "Yealink T46U": "108.86.0.70", "VVX 450": "6.3.1"})
    behind = wanted.of("Yealink T46U", "Yealink SIP-T46U 108.86.0.45")
    assert (behind.seen, behind.wanted, behind.state) == ("108.86.0.45", "108.86.0.70", "behind")
    assert wanted.of("", "Yealink SIP-T46U 108.86.0.70").state == "as-wanted"
    assert wanted.of("T46U", "Yealink SIP-T46U 108.86.0.171").state == "as-wanted"
    assert wanted.of("Polycom", "PolycomVVX-VVX_450-UA/6.3").state == "behind"
    assert wanted.of("VVX450", "PolycomVVX-VVX_450-UA/6.3.1.0").state == "as-wanted"
    assert wanted.of("Yealink T54W", "Yealink SIP-T54W 96.86.0.1").wanted == "1.1"
    assert wanted.of("snom D785", "snomD785/10.1.135.0").state == "unknown"
    assert wanted.of("Yealink T46U", "").state == "unknown"


def test_the_plan_says_what_is_wanted_over_the_settings():
    plan = Plan.of([Firmware(name="yealink-t46u", title="Yealink T46U", version="2.2")])
    settings = {"Yealink T46U": "1.1", "VVX 450": "6.3"}
    said = [(one.name, one.model, one.version, one.by_settings) for one in wanted_of(settings, plan)]
    assert said == [("vvx-450", "VVX 450", "6.3", True), ("yealink-t46u", "Yealink T46U", "2.2", False)]
    assert name_of(" Poly  VVX_450!") == "poly-vvx-450"


async def counted(store, rows):
    """How many rows a write has written."""
    written = await store.sightings.write()
    assert written == rows


async def test_a_sighting_is_written_when_it_changes_and_once_a_day(store, settings):
    await store.extensions.add("1001")
    device, _ = await store.devices.add("Desk", "1001")
    note = store.sightings.note
    assert note(device.id, "Phone/1.0", "192.0.2.1", NOW)
    await counted(store, 1)
    for minutes in range(1, 30):
        assert not note(device.id, "Phone/1.0", "192.0.2.1", NOW + timedelta(minutes=minutes))
    await counted(store, 0)
    assert store.sightings.of(device.id).seen_at == NOW + timedelta(minutes=29)
    assert store.sightings.of(device.id).since == NOW
    for user_agent, address in (("Phone/1.1", "192.0.2.1"), ("Phone/1.1", "192.0.2.2")):
        assert note(device.id, user_agent, address, NOW + timedelta(hours=1))
        await counted(store, 1)
    assert note(device.id, "Phone/1.1", "192.0.2.2", NOW + timedelta(hours=25))
    await counted(store, 1)
    await store.close()
    again = await open_store(settings)
    assert again.sightings.of(device.id).user_agent == "Phone/1.1"
    await again.devices.remove("Desk")
    assert again.sightings.of(device.id) is None
    undone = await again.history.page(("device",))
    await again.history.undo(undone[0].id, "eve")
    assert again.sightings.note(device.id, "Phone/1.1", "192.0.2.2", NOW + timedelta(hours=26))
    await counted(again, 1)
    await again.close()


async def test_what_strangers_say_is_cleaned_and_cut(store):
    await store.extensions.add("1001")
    device, _ = await store.devices.add("Desk", "1001")
    store.sightings.note(device.id, "\x1b[31mEvil\u202e\n\ud800 1.2.3" + "x" * 5_000, "192.0.2.1", NOW)
    agent = store.sightings.of(device.id).user_agent
    assert agent.startswith("[31mEvil\N{REPLACEMENT CHARACTER} 1.2.3")
    assert agent.isprintable()
    assert len(agent) <= 120
    await counted(store, 1)
