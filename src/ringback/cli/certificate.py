"""`ringback certificate`: which certificates the server shows, and how to make devices trust them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Final

import typer

from ringback.cli.errors import CliError
from ringback.cli.output import print_facts
from ringback.cli.running import serve_command
from ringback.cli.verbs import Options, verb
from ringback.config import Settings

app = typer.Typer(
    help="Certificates for HTTPS and SIP over TLS.", no_args_is_help=True, rich_markup_mode=None
)

TRUST: Final = {
    "Debian and Ubuntu": "copy it to /usr/local/share/ca-certificates/ringback.crt, "
    "then run: sudo update-ca-certificates",
    "Chromium and Chrome": "on Linux they have their own list: Settings, Privacy and security, Security, "
    "Manage certificates, Custom, Installed by you, Import; elsewhere they use the system's",
    "Firefox": "Settings, Privacy & Security, View Certificates, Authorities, Import; "
    "tick: trust this CA to identify websites",
    "Windows": "rename it to ringback.crt, open it, Install Certificate, Local Machine, "
    "place it in: Trusted Root Certification Authorities",
    "macOS": "open it in Keychain Access, add it to System, then set Trust to: Always Trust",
    "Phones (SIP over TLS)": "load it as a trusted or CA certificate on the phone's page for security",
}


@verb(app, "show")
def show(options: Options) -> None:
    """Print the certificates with their fingerprints, and how to make browsers and phones trust them."""
    settings = options.settings()
    found = {
        "authority": _facts(settings.tls_dir / "ca.pem"),
        "web": _facts(settings.web.certificate or _own(settings, settings.web.secure)),
        "sip": _facts(settings.sip.certificate or _own(settings, True)),
    }
    if not any(found.values()):
        raise CliError(f"there is no certificate yet; it is made at the start of: {serve_command(settings)}")
    ours = settings.web.certificate is None or settings.sip.certificate is None
    trust = TRUST if ours and found["authority"] else {}
    options.show({**found, "trust": trust}, lambda: _print(found, trust))


@verb(app, "reload")
def reload(options: Options) -> None:
    """Make the running server use certificates that were replaced; calls go on, and its log says more."""
    with options.server() as server:
        process = server.status()["pids"]["control"]
    try:
        os.kill(process, signal.SIGHUP)
    except OSError as error:
        raise CliError(f"the server cannot be told: {error.strerror}") from None
    options.show({"told": process}, lambda: print("The server looks at its certificates; its log says more."))


def _own(settings: Settings, used: bool) -> Path | None:
    return settings.tls_dir / "certificate.pem" if used else None


def _facts(path: Path | None) -> dict[str, Any] | None:
    from ringback.server.certificates import read_facts  # noqa: PLC0415 - loads cryptography

    if path is None or not path.is_file():
        return None
    try:
        facts = read_facts(path)
    except (OSError, ValueError) as error:
        raise CliError(f"{path} cannot be read: {error}") from None
    return {
        "path": str(path),
        "subject": facts.subject,
        "names": list(facts.names),
        "sha256": facts.sha256,
        "valid_from": facts.valid_from.isoformat(),
        "valid_until": facts.valid_until.isoformat(),
    }


def _print(found: dict[str, dict[str, Any] | None], trust: dict[str, str]) -> None:
    titles = {"authority": "Our own authority", "web": "HTTPS", "sip": "SIP over TLS"}
    for name, facts in found.items():
        if facts is not None:
            print(titles[name])
            lines = {**facts, "names": ", ".join(facts["names"])}
            print_facts({f"  {key.replace('_', ' ')}": value for key, value in lines.items()})
            print()
    if trust and found["authority"] is not None:
        print("To end the warnings of browsers and phones, make them trust the authority's file, once:")
        print(f"  {found['authority']['path']}")
        print("It is also at /ca.pem of the web; compare the fingerprint above before you trust it.")
        print_facts({f"  {where}": how for where, how in trust.items()})
