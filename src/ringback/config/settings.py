"""Every setting, documented once: frozen, read from TOML and from RINGBACK_SECTION__KEY variables."""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from ringback.config.backup import BackupSettings
from ringback.config.calling import CallingSettings
from ringback.config.folders import default_config_dir, default_data_dir
from ringback.config.provisioning import ProvisioningSettings
from ringback.config.routing import RoutingSettings
from ringback.config.section import Section as _Section
from ringback.config.toml_lines import KeyLines
from ringback.config.values import (
    CodecList,
    CommaList,
    IpAddress,
    Networks,
    OnePerFamily,
    OptionalPath,
    Port,
    ServiceNumber,
    host_port,
    split_list,
)
from ringback.config.voicemail import MailSettings, VoicemailSettings

ENV_PREFIX = "RINGBACK_"
Where = tuple[str, ...]


class SettingsError(Exception):
    """The settings cannot be used; `problems` has one line each, with the file and line or the variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SipSettings(_Section):
    """The SIP edge: where phones register and call."""

    bind: Annotated[tuple[IpAddress, ...], BeforeValidator(split_list)] = Field(
        default=("127.0.0.1",),
        description="IP addresses to listen on, IPv4 or IPv6, one or a list; 0.0.0.0 opens it to the LAN.",
    )
    udp_port: Port = Field(default=5060, description="UDP port; when taken, the next free one is used.")
    tcp_port: Port = Field(default=5060, description="TCP port; when taken, the next free one is used.")
    tls_port: Port = Field(default=5061, description="TLS port; when taken, the next free one is used.")
    certificate: OptionalPath = Field(
        default=None,
        description="PEM file with the TLS certificate chain; made at first start when none is given.",
    )
    private_key: OptionalPath = Field(default=None, description="PEM file with the key of `sip.certificate`.")
    client_authorities: OptionalPath = Field(
        default=None,
        description="PEM file with authorities: clients on TLS are asked for a certificate that they signed, "
        "and servers that we connect to may have one.",
    )
    require_client_certificate: bool = Field(
        default=False,
        description="Whether clients on TLS without a certificate of `sip.client_authorities` are refused.",
    )
    dns_servers: CommaList = Field(
        default=(),
        description="Servers of names to ask for SIP servers, e.g. 192.0.2.53 or [2001:db8::53]:53; "
        "empty means the system's.",
    )
    domain: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9.:\[\]-]*$",
        description="Host in the SIP addresses shown to people; empty means the bound address.",
    )
    session_expires_s: int = Field(
        default=1800,
        ge=0,
        le=86_400,
        description="Seconds without a sign of the other side after which a call ends (RFC 4028); 0: never.",
    )

    trusted_peers: Networks = Field(
        default=(),
        description="Networks (CIDR) that are believed who calls (RFC 3325), and free of limits.",
    )
    allow_answer_mode: bool = Field(
        default=False,
        description="Whether callers with an account may have phones answer by themselves (RFC 5373).",
    )
    trace_buffer_mb: int = Field(
        default=4,
        ge=0,
        le=256,
        description="Memory for the last messages, for `ringback sip trace --last`, in MB; 0 keeps none.",
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> SipSettings:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("sip.certificate and sip.private_key must be given together")
        if self.require_client_certificate and self.client_authorities is None:
            raise ValueError("sip.require_client_certificate needs sip.client_authorities")
        if 0 < self.session_expires_s < 90:
            raise ValueError("sip.session_expires_s must be 0, or at least 90 (RFC 4028)")
        return self

    @field_validator("bind")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must be at least one IP address")
        return tuple(dict.fromkeys(value))

    @field_validator("dns_servers")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for item in value:
                host_port(item, 53)
        except ValueError:
            raise ValueError('must be IP addresses, e.g. ["192.0.2.53", "127.0.0.1:5353"]') from None
        return value

    @property
    def dns_addresses(self) -> tuple[tuple[str, int], ...]:
        """`dns_servers` parsed."""
        return tuple(host_port(item, 53) for item in self.dns_servers)


class WebSettings(_Section):
    """The HTTP API and the pages."""

    bind: IpAddress = Field(
        default="127.0.0.1",
        description="Address that HTTP listens on; HTTPS if it is not a loopback address.",
    )
    port: Port = Field(default=8080, description="TCP port; when taken, the next free one is used.")
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$",
        description="Start of every link, e.g. https://meet.example.com; empty means the bound address.",
    )
    certificate: OptionalPath = Field(
        default=None,
        description="PEM file with the certificate chain for HTTPS; none means one of our own authority.",
    )
    private_key: OptionalPath = Field(default=None, description="PEM file with the key of `web.certificate`.")
    metrics_public: bool = Field(
        default=True,
        description="Whether /metrics, which holds counts only, is served without a token.",
    )

    upload_limit_mb: int = Field(
        default=200, ge=1, le=20_000, description="The largest capture that may be uploaded, in MB."
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> WebSettings:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("web.certificate and web.private_key must be given together")
        return self

    @property
    def secure(self) -> bool:
        """Whether it is HTTPS: browsers let pages of plain HTTP hear the microphone on loopback only."""
        return self.certificate is not None or not ipaddress.ip_address(self.bind).is_loopback


class MediaSettings(_Section):
    """The media engine: RTP addresses and processes."""

    bind: OnePerFamily = Field(
        default=(),
        description="Addresses that RTP is received on, one of IPv4, of IPv6 or of both; empty means those "
        "of `sip.bind`, and all interfaces where it has several of a family.",
    )
    public_address: OnePerFamily = Field(
        default=(),
        description="Addresses that SDP names when behind NAT, at most one of each family; empty means those "
        "by which peers reach us.",
    )
    port_range: str = Field(
        default="20000-29999",
        description="First and last UDP port for RTP and RTCP; at least 4 ports.",
    )
    codecs: CodecList = Field(
        default=("OPUS", "G722", "PCMU", "PCMA"),
        min_length=1,
        description="Codecs to speak, the one that is liked best first; L16 is for trunks and tests.",
    )
    full_band: bool = Field(
        default=False,
        description="Let those who speak Opus hear each other up to 20 kHz (music); it takes more work.",
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Media processes to use; 0 is one a core, less a core for all the rest, at least one.",
    )

    @field_validator("port_range")
    @classmethod
    def _two_ports(cls, value: str) -> str:
        first, dash, last = value.replace(" ", "").partition("-")
        if not (dash and first.isdecimal() and last.isdecimal()):
            raise ValueError('must be two ports with a dash, as in "20000-29999"')
        if not 1024 <= int(first) < int(last) <= 65535 or int(last) - int(first) < 3:
            raise ValueError("must be an ascending range of at least 4 ports between 1024 and 65535")
        return f"{int(first)}-{int(last)}"

    @property
    def ports(self) -> tuple[int, int]:
        """First and last port of the range, both included."""
        first, _, last = self.port_range.partition("-")
        return int(first), int(last)

    @property
    def worker_count(self) -> int:
        """How many media processes to run."""
        return self.workers or max(1, len(os.sched_getaffinity(0)) - 1)


class ConferenceSettings(_Section):
    """How a caller gets into a meeting."""

    dial_in_numbers: Annotated[tuple[ServiceNumber, ...], BeforeValidator(split_list)] = Field(
        default=("700",),
        description="Numbers that ask the caller for a meeting number.",
    )
    first_digit_s: float = Field(
        default=30.0, gt=0, le=300, description="Seconds that a prompt waits for the first digit."
    )
    between_digits_s: float = Field(
        default=5.0, gt=0, le=60, description="Seconds that a prompt waits for each further digit."
    )
    pin_tries: int = Field(default=3, ge=1, le=10, description="Wrong PINs after which the call is ended.")
    level_control: bool = Field(
        default=False, description="Bring all voices to one loudness, by at most 12 dB up or down."
    )
    noise_suppression: bool = Field(
        default=False,
        description="Suppress the noise of phones; needs `pip install 'ringback[noise]'`.",
    )
    quiet_above: int = Field(default=10, ge=0, description="Larger meetings have no entry and exit tones.")


class SecuritySettings(_Section):
    """Who is trusted with what."""

    allow_sources: Networks = Field(
        default=(),
        description="Networks (CIDR) that are free of rate limits and bans.",
    )
    sip_rate: int = Field(
        default=100,
        ge=1,
        le=1_000_000,
        description="SIP messages a second that a source may send; ten times as many once it has an account.",
    )
    key_file: OptionalPath = Field(
        default=None,
        description="File with the key that seals PINs and passwords; default `secret.key` in `data_dir`.",
    )
    vault_key_file: OptionalPath = Field(
        default=None,
        description="File with the key to all stored voices, outside `data_dir`. Default: "
        "$XDG_CONFIG_HOME/ringback/vault.key; unset: /etc/ringback for root, ~/.config/ringback for others.",
    )

    @property
    def allowed_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """`allow_sources` parsed."""
        return tuple(ipaddress.ip_network(item) for item in self.allow_sources)


class RecordingSettings(_Section):
    """Recording by policy; the policies themselves belong to the plan."""

    tone_every_s: int = Field(
        default=0,
        ge=0,
        le=600,
        description="How often everybody hears a tone while a call is recorded, in seconds; 0: never.",
    )


class DatabaseSettings(_Section):
    """Where people, extensions and meetings are kept."""

    url: str = Field(
        default="",
        pattern=r"^(sqlite:///.+)?$",
        description="sqlite:///ABSOLUTE-PATH; empty means `ringback.db` in `data_dir`.",
    )


class RecordsSettings(_Section):
    """What is kept of calls that are over."""

    keep_days: int = Field(
        default=365, ge=0, le=36_500, description="Days that call records are kept; 0: for good."
    )
    spool_mb: int = Field(
        default=256, ge=1, le=65_536, description="Room for records that wait for the database, in MB."
    )


class LogSettings(_Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written."
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="JSON lines, or text for people; auto means console on a terminal, else json.",
    )


class Settings(_Section):
    """The whole tree; built by `load_settings`, never changed afterwards."""

    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder with everything that is kept. Default: $XDG_DATA_HOME/ringback; "
        "unset: /var/lib/ringback for root, ~/.local/share/ringback for others.",
    )
    sip: SipSettings = SipSettings()
    web: WebSettings = WebSettings()
    media: MediaSettings = MediaSettings()
    conference: ConferenceSettings = ConferenceSettings()
    routing: RoutingSettings = RoutingSettings()
    calling: CallingSettings = CallingSettings()
    voicemail: VoicemailSettings = VoicemailSettings()
    mail: MailSettings = MailSettings()
    provisioning: ProvisioningSettings = ProvisioningSettings()
    security: SecuritySettings = SecuritySettings()
    recording: RecordingSettings = RecordingSettings()
    database: DatabaseSettings = DatabaseSettings()
    records: RecordsSettings = RecordsSettings()
    backup: BackupSettings = BackupSettings()
    log: LogSettings = LogSettings()

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return Path(os.path.abspath(value.expanduser()))

    @property
    def media_addresses(self) -> tuple[str, ...]:
        """The addresses that RTP is received on: of IPv4, of IPv6, or both."""
        if self.media.bind:
            return self.media.bind
        found = []
        for everywhere in ("0.0.0.0", "::"):  # noqa: S104 - where sip.bind has several
            of_family = [one for one in self.sip.bind if (":" in one) is (":" in everywhere)]
            found += of_family if len(of_family) == 1 else [everywhere][: len(of_family)]
        return tuple(found)

    @model_validator(mode="after")
    def _service_numbers_differ(self) -> Settings:
        if len(self.service_numbers) != len(self.conference.dial_in_numbers) + 1:
            raise ValueError("routing.echo_number and conference.dial_in_numbers must all be different")
        if self.service_numbers & set(self.calling.slots):
            raise ValueError("a number of calling.park_slots is a service number already")
        if self.service_numbers & set(self.routing.feature_codes.values()):
            raise ValueError("a code of routing.feature_codes is a service number already")
        return self

    @model_validator(mode="after")
    def _the_vault_key_is_elsewhere(self) -> Settings:
        if self.vault_key_file.is_relative_to(self.data_dir):
            raise ValueError(
                "security.vault_key_file must be outside data_dir: who has a copy of all that is kept "
                "must not have the key to it"
            )
        return self

    @model_validator(mode="after")
    def _backups_are_apart(self) -> Settings:
        if self.backup.folder is not None:
            problem = self.problem_of_backups(self.backup.folder)
            if problem:
                raise ValueError(f"backup.folder {problem}")
        return self

    def problem_of_backups(self, folder: Path) -> str:
        """Why a folder is none for backups; empty if it is one."""
        if not folder.is_absolute():
            return "must be an absolute path"
        if folder.is_relative_to(self.data_dir) or self.data_dir.is_relative_to(folder):
            return "must be apart from data_dir: what loses the one must not lose the other"
        if any(key.is_relative_to(folder) for key in (self.vault_key_file, self.key_file)):
            return "must not hold a key file: who has the backups must not have the keys"
        return ""

    @property
    def key_file(self) -> Path:
        """The sealing key's file."""
        return self.security.key_file or self.data_dir / "secret.key"

    @property
    def vault_key_file(self) -> Path:
        """The file of the key-encryption key of stored voices."""
        return self.security.vault_key_file or default_config_dir() / "vault.key"

    @property
    def voices_dir(self) -> Path:
        """The folder of stored voices."""
        return self.data_dir / "voices"

    @property
    def database_url(self) -> str:
        """The URL for SQLAlchemy, driver included."""
        url = self.database.url or f"sqlite:///{self.data_dir / 'ringback.db'}"
        return url.replace("sqlite:", "sqlite+aiosqlite:", 1)

    @property
    def control_socket(self) -> Path:
        """The Unix socket through which the command line speaks to the running server."""
        return self.data_dir / "control.sock"

    @property
    def tls_dir(self) -> Path:
        """The folder of our own authority and certificate."""
        return self.data_dir / "tls"

    @property
    def service_numbers(self) -> frozenset[str]:
        """Numbers of the system itself."""
        return frozenset((*self.conference.dial_in_numbers, self.routing.echo_number))

    @property
    def reserved_numbers(self) -> frozenset[str]:
        """Numbers that nothing new may have: those of services, and of park slots."""
        return self.service_numbers | set(self.calling.slots)


SECTIONS: dict[str, type[_Section]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, _Section)
}
_PATHS: frozenset[Where] = frozenset(
    {
        ("data_dir",),
        ("sip", "certificate"),
        ("sip", "private_key"),
        ("sip", "client_authorities"),
        ("web", "certificate"),
        ("web", "private_key"),
        ("calling", "music"),
        ("security", "key_file"),
        ("security", "vault_key_file"),
        ("mail", "password_file"),
        ("provisioning", "templates"),
        ("backup", "folder"),
    }
)


def setting_names() -> Iterator[str]:
    """All settings as dotted names, in the order of the documentation."""
    yield "data_dir"
    for section, model in SECTIONS.items():
        for key in model.model_fields:
            yield f"{section}.{key}"


def load_settings(
    config: Path | None = None,
    *,
    data_dir: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from the TOML file `config`, overridden by the environment, overridden by `data_dir`.

    Relative paths in the file are relative to its folder. Raises SettingsError with every problem found.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[Where, str] = {}
    lines: KeyLines | None = None
    if config is not None:
        values, lines = _read_toml(config)
    problems = [*_overlay_environment(values, origins, environ)]
    if data_dir is not None:
        values["data_dir"] = data_dir
        origins[("data_dir",)] = "--data-dir"
    values.setdefault("data_dir", default_data_dir(environ))

    def place(where: Where) -> str:
        for length in range(len(where), 0, -1):
            if where[:length] in origins:
                return f"{origins[where[:length]]}: "
        return f"{config}:{lines.line(where)}: " if lines else ""

    settings: Settings | None = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [place(_where(problem["loc"])) + _describe(problem) for problem in error.errors()]
    if settings is None or problems:
        raise SettingsError(problems)
    return settings


def _read_toml(config: Path) -> tuple[dict[str, Any], KeyLines]:
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError([f"{config}: cannot be read: {reason}"]) from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at line ")
        number = place.partition(",")[0] if place else str(text.count("\n") + 1)
        raise SettingsError(
            [f"{config}:{number}: not valid TOML: {message[:1].lower()}{message[1:]}"]
        ) from None
    for where in _PATHS:
        holder: Any = values
        for part in where[:-1]:
            holder = holder.get(part) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and isinstance(holder.get(where[-1]), str):
            holder[where[-1]] = str(config.absolute().parent / Path(holder[where[-1]]).expanduser())
    return values, KeyLines(text)


def _overlay_environment(
    values: dict[str, Any], origins: dict[Where, str], environ: Mapping[str, str]
) -> Iterator[str]:
    for name in sorted(environ):
        if name == ENV_PREFIX + "DATA_DIR":
            if environ[name]:
                values["data_dir"] = environ[name]
                origins[("data_dir",)] = name
            continue
        section, separator, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if not name.startswith(ENV_PREFIX) or not separator:
            continue
        if section not in SECTIONS or key not in SECTIONS[section].model_fields:
            yield f"{name}: {_unknown(f'{section}.{key}')}"
            continue
        table = values.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = environ[name]
            origins[(section, key)] = name


def _where(location: tuple[int | str, ...]) -> Where:
    return tuple(part for part in location if isinstance(part, str))


def _describe(problem: Mapping[str, Any]) -> str:
    where = _where(problem["loc"])
    name = ".".join(where)
    if problem["type"] == "extra_forbidden":
        return _unknown(name)
    message = str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    message = message.replace("String should", "must")
    message = message.partition(", unable to parse")[0]
    if problem["type"] == "model_type":
        message = f"must be a section: write [{name}] on a line of its own"
    return (
        message
        if name in SECTIONS and problem["type"] == "value_error"
        else f"{name}: {message}".removeprefix(": ")
    )


def _unknown(name: str) -> str:
    known = list(setting_names())
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    leaf = name.rpartition(".")[2]
    close = close or [item for item in known if _alike(leaf, item.rpartition(".")[2])]
    if not close and "." not in name:
        close = difflib.get_close_matches(name, SECTIONS, n=1, cutoff=0.6)
    return f"unknown setting {name}" + (f"; did you mean {close[0]}?" if close else "")


def _alike(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one, other).ratio() >= 0.8
