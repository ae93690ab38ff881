"""What a person meets who configures Ringback: precedence, and errors that say where the mistake is."""

from pathlib import Path

import pytest

from ringback.config import Settings, SettingsError, default_data_dir, load_settings, setting_names
from ringback.config.page import settings_page
from ringback.routing.numbering import ServiceNumbers


def problems(config: Path | None = None, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(config, environ=environ)
    return [line.replace(str(config), "ringback.toml") for line in caught.value.problems]


def written(folder: Path, text: str) -> Path:
    path = folder / "ringback.toml"
    path.write_text(text)
    return path


def test_defaults_stay_on_loopback():
    settings = load_settings(environ={})
    assert {*settings.sip.bind, settings.web.bind, *settings.media_addresses} == {"127.0.0.1"}
    assert settings.media.ports == (20000, 29999)
    assert (settings.sip.udp_port, settings.sip.tls_port, settings.web.port) == (5060, 5061, 8080)
    assert settings.service_numbers == {"600", "700"}


def test_environment_overrides_the_file_and_the_option_overrides_both(tmp_path):
    config = written(tmp_path, 'data_dir = "from-file"\n[sip]\nudp_port = 5070\ntcp_port = 5071\n')
    settings = load_settings(config, environ={"RINGBACK_SIP__TCP_PORT": "5072", "HOME": "/"})
    assert (settings.sip.udp_port, settings.sip.tcp_port) == (5070, 5072)
    assert settings.data_dir == tmp_path / "from-file"
    environ = {"RINGBACK_DATA_DIR": "/srv/one"}
    assert load_settings(config, environ=environ).data_dir == Path("/srv/one")
    assert load_settings(config, environ=environ, data_dir=Path("/srv/two")).data_dir == Path("/srv/two")


def test_lists_in_the_environment_are_separated_by_commas():
    settings = load_settings(environ={"RINGBACK_SECURITY__ALLOW_SOURCES": "192.0.2.7/24, 2001:db8::/32"})
    assert settings.security.allow_sources == ("192.0.2.0/24", "2001:db8::/32")
    assert load_settings(environ={"RINGBACK_SECURITY__ALLOW_SOURCES": ""}).security.allow_sources == ()


def test_sip_listens_on_one_address_or_several(tmp_path):
    assert load_settings(written(tmp_path, "sip.bind = '0.0.0.0'"), environ={}).sip.bind == ("0.0.0.0",)
    several = written(tmp_path, "sip.bind = ['192.0.2.7', '2001:DB8::7']")
    assert load_settings(several, environ={}).sip.bind == ("192.0.2.7", "2001:db8::7")
    assert load_settings(environ={"RINGBACK_SIP__BIND": "127.0.0.1, ::1"}).sip.bind == ("127.0.0.1", "::1")
    assert problems(written(tmp_path, "sip.bind = []"))


def test_servers_of_names_have_addresses_and_perhaps_ports():
    settings = load_settings(
        environ={"RINGBACK_SIP__DNS_SERVERS": "192.0.2.53, 127.0.0.1:5353, [::1]:54, ::1"}
    )
    expected = (("192.0.2.53", 53), ("127.0.0.1", 5353), ("::1", 54), ("::1", 53))
    assert settings.sip.dns_addresses == expected


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError):
        load_settings(environ={}).sip.udp_port = 1


def test_unknown_key_is_reported_with_its_line_and_a_suggestion(tmp_path):
    config = written(tmp_path, "# ours\n\n[sip]\nbind = '127.0.0.1'\nudp_prot = 5060\n[sipp]\nx = 1\n")
    assert problems(config) == [
        "ringback.toml:5: unknown setting sip.udp_prot; did you mean sip.udp_port?",
        "ringback.toml:6: unknown setting sipp; did you mean sip?",
    ]


def test_lines_are_right_around_strings_arrays_and_inline_tables(tmp_path):
    text = '''\
web = { port = 8081, "prot" = 1 }
[security]
key_file = """
[sip]
not_a_key = 1 \\
"""
allow_sources = [
  "192.0.2.0/24", # a ] here
  'nonsense',
]
[ media ]
"port_range" = "1-2"
'''
    found = problems(written(tmp_path, text))
    assert {line.partition(": ")[0] for line in found} == {f"ringback.toml:{line}" for line in (1, 7, 12)}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("sip.udp_port = 70000", "sip.udp_port: must be less than or equal to 65535"),
        ("sip.udp_port = 'x'", "sip.udp_port: must be a valid integer"),
        ("sip.bind = 'localhost'", 'sip.bind: must be an IP address such as "127.0.0.1" or "0.0.0.0"'),
        (
            "media.port_range = '20000'",
            'media.port_range: must be two ports with a dash, as in "20000-29999"',
        ),
        ("log.level = 'loud'", "log.level: must be 'debug', 'info', 'warning' or 'error'"),
        ("sip = 3", "sip: must be a section: write [sip] on a line of its own"),
        (
            "sip.dns_servers = ['ns.example.com']",
            'sip.dns_servers: must be IP addresses, e.g. ["192.0.2.53", "127.0.0.1:5353"]',
        ),
        (
            "sip.require_client_certificate = true",
            "sip.require_client_certificate needs sip.client_authorities",
        ),
        ("sip.certificate = 'a.pem'", "sip.certificate and sip.private_key must be given together"),
    ],
)
def test_wrong_values_are_reported_with_their_line(tmp_path, line, complaint):
    assert problems(written(tmp_path, f"\n{line}\n")) == [f"ringback.toml:2: {complaint}"]


def test_a_wrong_value_never_appears_in_the_message(tmp_path):
    config = written(tmp_path, "database.url = 'postgresql://ringback:hunter2@db.example.com/x'\n")
    assert "hunter2" not in problems(config)[0]


def test_broken_toml_and_missing_files_are_one_line(tmp_path):
    assert problems(written(tmp_path, "[sip]\nbind = \n")) == [
        "ringback.toml:2: not valid TOML: invalid value"
    ]
    assert problems(tmp_path / "none.toml")[0].endswith("cannot be read: No such file or directory")


def test_wrong_variables_are_named():
    assert problems(RINGBACK_SIP__UDP_PROT="1", RINGBACK_WEB__PORT="x", RINGBACK_OTHER__THING="1") == [
        "RINGBACK_OTHER__THING: unknown setting other.thing",
        "RINGBACK_SIP__UDP_PROT: unknown setting sip.udp_prot; did you mean sip.udp_port?",
        "RINGBACK_WEB__PORT: web.port: must be a valid integer",
    ]


def test_an_empty_variable_for_a_file_means_none():
    assert load_settings(environ={"RINGBACK_SECURITY__KEY_FILE": ""}).security.key_file is None


def test_data_dir_default_follows_xdg(monkeypatch):
    assert default_data_dir({"XDG_DATA_HOME": "/srv/data"}) == Path("/srv/data/ringback")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_dir({}) == Path("/var/lib/ringback")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert default_data_dir({}).parts[-3:] == (".local", "share", "ringback")


def test_the_page_of_settings_is_up_to_date():
    page = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()
    assert page == settings_page(), "run: ringback config docs > docs/settings.md"
    for name in setting_names():
        assert f"`{name}`" in page


def test_every_setting_is_documented():
    for name in setting_names():
        section, _, key = name.rpartition(".")
        model = type(getattr(Settings(), section)) if section else Settings
        assert model.model_fields[key].description, name


def test_classes_of_numbers_are_tables_or_json():
    classes = '{"all": {"prefixes": [""], "concurrent": 3}}'
    settings = load_settings(environ={"RINGBACK_ROUTING__CLASSES": classes})
    assert settings.routing.classes["all"].concurrent == 3
    assert settings.routing.classes["all"].calls_a_day is None
    assert {"national", "international", "premium"} == Settings().routing.classes.keys()


@pytest.mark.parametrize(
    ("classes", "complaint"),
    [
        ("nothing", "written as JSON"),
        ('{"all": {"prefixes": ["0"]}}', "for all other numbers"),
        ('{"a": {"prefixes": ["", "0"]}, "b": {"prefixes": ["0"]}}', "belongs to one class"),
        ('{"All": {"prefixes": [""]}}', "small letters"),
        ('{"all": {"prefixes": [""], "concurrent": -1}}', "greater than or equal to 0"),
    ],
)
def test_wrong_classes_are_named(classes, complaint):
    with pytest.raises(SettingsError, match=complaint):
        load_settings(environ={"RINGBACK_ROUTING__CLASSES": classes})


def test_the_vault_key_is_outside_the_data_folder(tmp_path: Path):
    elsewhere = load_settings(environ={}, data_dir=tmp_path / "data")
    assert elsewhere.vault_key_file.name == "vault.key"
    inside = {"RINGBACK_SECURITY__VAULT_KEY_FILE": str(tmp_path / "data" / "keys" / "vault.key")}
    with pytest.raises(SettingsError, match=r"security\.vault_key_file must be outside data_dir"):
        load_settings(environ=inside, data_dir=tmp_path / "data")


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("country = 'AU'", {"000", "106"}),
        ("country = 'FR'", {"15", "17", "18"}),
        ("country = 'US'", set()),
        ("", set()),
    ],
)
def test_the_country_says_by_which_numbers_help_is_called(tmp_path, line, more):
    settings = load_settings(written(tmp_path, f"[routing]\n{line}\n"), environ={})
    usual = {"110", "112", "118", "119", "911", "999"}
    assert settings.routing.emergency == usual | more
    # It is what calls are looked at by.
    assert ServiceNumbers.of(settings).emergency == usual | more


def test_emergency_numbers_that_are_set_are_all(tmp_path):
    config = written(tmp_path, "[routing]\ncountry = 'AU'\nemergency_numbers = ['112', '000']\n")
    assert load_settings(config, environ={}).routing.emergency == {"112", "000"}


def test_codes_that_are_not_given_keep_their_default(tmp_path):
    config = written(tmp_path, "[routing]\ncountry = 'US'\nfeature_codes = { pickup = '*55', park = '' }\n")
    routing = load_settings(config, environ={}).routing
    assert (routing.country, routing.feature_codes["pickup"], routing.feature_codes["park"]) == (
        "US",
        "*55",
        "",
    )
    assert routing.feature_codes["voicemail"] == "*97"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("country = 'USA'", "country: must match pattern"),
        ("feature_codes = { picup = '*55' }", "no feature is called picup; did you mean pickup?"),
        ("feature_codes = { pickup = '55' }", "the code of pickup is a star and 1 to 7 digits or stars"),
        ("feature_codes = { pickup = '*97' }", "a code does one thing"),
        ("feature_codes = 'x'", "must be a table"),
    ],
)
def test_wrong_codes_and_countries_are_explained(tmp_path, line, complaint):
    (problem,) = problems(written(tmp_path, f"[routing]\n{line}\n"))
    assert problem.startswith("ringback.toml:2: routing.")
    assert complaint in problem


def test_a_code_is_no_service_number(tmp_path):
    config = written(tmp_path, "[routing]\necho_number = '*97'\n")
    assert "is a service number already" in problems(config)[0]
