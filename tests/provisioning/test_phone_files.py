"""Files of desk phones: what each family is told, names that stay names, templates of one's own."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ringback.governance.private import Private
from ringback.provisioning.phone import Key, Phone, Server, family_of, lamps
from ringback.provisioning.templates import TemplatesError, phone_files
from ringback.store.directory import Device, Directory, Extension
from ringback.store.plan.groups import Group, Queue
from ringback.store.plan.plan import Plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PHONE = Phone(
    name="Desk",
    extension="1001",
    label='Ada & "Co" <x>',
    username="d-k7mqw3xe",
    password="s3cret",
    mac="001565abcdef",
    model="Yealink T46U",
    servers=(Server("pbx.example.com", 5061, "tls"), Server("second.example.com", 5061, "tls")),
    keys=(Key("Bob", "1002"), Key("Eve & Co", "1003")),
    voicemail="*97",
    pickup="**",
    url="https://pbx.example.com/provisioning",
    authority_url="https://pbx.example.com/ca.pem",
    shared=False,
)


def test_a_yealink_is_told_all_of_it():
    files = phone_files(PHONE)
    assert list(files) == ["001565abcdef.cfg"]
    text = files["001565abcdef.cfg"]
    assert text.startswith("#!version:1.0.0.1\n")
    told = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
    assert {
        "account.1.label": 'Ada & "Co" <x>',
        "account.1.user_name": "1001",
        "account.1.auth_name": "d-k7mqw3xe",
        "account.1.password": "s3cret",
        "account.1.sip_server.1.address": "pbx.example.com",
        "account.1.sip_server.1.port": "5061",
        "account.1.sip_server.1.transport_type": "2",
        "account.1.sip_server.2.address": "second.example.com",
        "account.1.srtp_encryption": "2",
        "voice_mail.number.1": "*97",
        "features.pickup.direct_pickup_code": "**",
        "linekey.2.type": "16",
        "linekey.2.value": "1002",
        "linekey.3.label": "Eve & Co",
        "static.auto_provision.server.url": "https://pbx.example.com/provisioning",
    }.items() <= told.items()
    plain = phone_files(replace(PHONE, servers=(Server("192.0.2.1", 5060, "udp"),), shared=True))
    assert "account.1.srtp_encryption = 0\n" in plain["001565abcdef.cfg"]
    assert "sip_server.2" not in plain["001565abcdef.cfg"]
    assert "features.save_call_history = 0\n" in plain["001565abcdef.cfg"]


def test_a_polycom_is_told_all_of_it_in_xml():
    files = phone_files(replace(PHONE, model="Poly VVX 450"))
    assert list(files) == ["001565abcdef-ringback.cfg", "001565abcdef.cfg"]
    master = ET.fromstring(files["001565abcdef.cfg"])
    assert master.get("CONFIG_FILES") == "001565abcdef-ringback.cfg"
    told = {
        name: value
        for element in ET.fromstring(files["001565abcdef-ringback.cfg"])
        for name, value in element.items()
    }
    assert {
        "reg.1.address": "1001",
        "reg.1.label": 'Ada & "Co" <x>',
        "reg.1.auth.userId": "d-k7mqw3xe",
        "reg.1.auth.password": "s3cret",
        "reg.1.server.1.address": "pbx.example.com",
        "reg.1.server.1.transport": "TLS",
        "reg.1.server.2.address": "second.example.com",
        "sec.srtp.require": "1",
        "msg.mwi.1.callBack": "*97",
        "call.directedCallPickupString": "**",
        "prov.polling.enabled": "1",
        "attendant.resourceList.2.address": "1003",
        "attendant.resourceList.2.label": "Eve & Co",
        "device.prov.user": "d-k7mqw3xe",
    }.items() <= told.items()


def test_a_polycom_that_is_off_the_hook_waits_for_the_whole_number():
    """With its own map, for North America, 1001 and 112 are dialled as "1"."""
    content = phone_files(replace(PHONE, model="Poly VVX 450"))["001565abcdef-ringback.cfg"]
    dialplan = ET.fromstring(content).find("dialplan")
    assert dialplan.get("dialplan.impossibleMatchHandling") == "2"
    maps = dialplan.get("dialplan.digitmap").split("|")
    assert len(maps) == len(dialplan.get("dialplan.digitmap.timeOut").split("|"))
    assert all(each.endswith(".T") for each in maps)
    # "." repeats the x before it, as in RFC 3435.
    patterns = [re.escape(each.removesuffix(".T")[:-1]).replace("x", "[0-9]") + "[0-9]*" for each in maps]
    for number in ("112", "911", "1001", "85", "*97", "*68701", "**1001", "+14155550100", "00441134960000"):
        assert any(re.fullmatch(pattern, number) for pattern in patterns), number


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("Yealink T46U", "yealink"),
        ("T31P", "yealink"),
        ("SIP-T54W", "yealink"),
        ("Poly VVX 250", "polycom"),
        ("polycom vvx400", "polycom"),
        ("VVX450", "polycom"),
        ("Grandstream GXP2170", "grandstream"),
        ("../../etc", "etc"),
        ("", ""),
    ],
)
def test_the_family_of_a_model(model, family):
    assert family_of(model) == family


def test_templates_of_ones_own_come_first(tmp_path):
    (tmp_path / "yealink").mkdir()
    (tmp_path / "grandstream").mkdir()
    own = tmp_path / "yealink" / "MAC.cfg"
    own.write_text("user={{ phone.username }}\n")
    (tmp_path / "grandstream" / "cfgMAC.xml").write_text(
        "{% for key in phone.keys %}{{ key.number }} {% endfor %}"
    )
    assert phone_files(PHONE, tmp_path) == {"001565abcdef.cfg": "user=d-k7mqw3xe\n"}
    assert phone_files(replace(PHONE, model="Grandstream GXP2170"), tmp_path) == {
        "cfg001565abcdef.xml": "1002 1003 "
    }
    for text, complaint in (
        ("{{ phone.colour }}", "MAC.cfg is wrong: UndefinedError"),
        ("\n{% for %}", "MAC.cfg is wrong in line 2: TemplateSyntaxError"),
        ("{{ ''.__class__.__mro__ }}", "MAC.cfg is wrong: SecurityError"),
        ("{{ 1 / 0 }}", "cannot be filled: ZeroDivisionError"),
    ):
        own.write_text(text)
        with pytest.raises(TemplatesError, match=complaint):
            phone_files(PHONE, tmp_path)
    with pytest.raises(TemplatesError, match="no templates for the model 'Snom D785'"):
        phone_files(replace(PHONE, model="Snom D785"), tmp_path)
    with pytest.raises(TemplatesError, match="which has no model"):
        phone_files(replace(PHONE, model=""))
    with pytest.raises(TemplatesError, match="has no MAC address"):
        phone_files(replace(PHONE, mac=""))


def extension(number, enabled=True):
    secret = Private("")
    return Extension(number, number, f"Name {number}", secret, secret, None, enabled, NOW)


def test_lamps_show_the_others_of_the_group_or_everybody():
    secret = Private("")
    device = Device("1", "Desk", "1001", "d-x", secret, secret, NOW)
    extensions = [extension(n) for n in ("999", "1001", "1002", "1003")] + [extension("1004", enabled=False)]
    alone = Directory.of(extensions)
    assert [key.number for key in lamps(device, alone, 10)] == ["999", "1002", "1003"]
    assert [key.number for key in lamps(device, alone, 1)] == ["999"]
    plan = Plan.of(
        [
            Group(name="sales", members=("1003", "1001", "1004")),
            Queue(name="help", agents=("1001", "1003", "1002")),
            Group(name="other", members=("999",)),
        ]
    )
    assert lamps(device, Directory.of(extensions, plan=plan), 10) == (
        Key("Name 1003", "1003"),
        Key("Name 1002", "1002"),
    )
