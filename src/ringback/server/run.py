"""`ringback serve`: from settings to a process that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import signal
import time
from typing import Final

import structlog
import uvloop
from rich.console import Console

from ringback import __version__
from ringback.config import Settings
from ringback.net.tls import server_context
from ringback.server.addresses import bracketed
from ringback.server.app import Server, stop_signal
from ringback.server.certificates import CertificateKeeper, web_certificate
from ringback.server.media_link import MediaWorkerError
from ringback.server.preflight import allow_many_sockets
from ringback.server.provisioning import PhoneFiles
from ringback.server.welcome import (
    Listening,
    show_country_hint,
    show_first_start,
    show_lan_hint,
    show_listening,
    show_meetings,
    show_role_hint,
    show_trust_hint,
)
from ringback.store.bootstrap import FirstStart, bootstrap
from ringback.store.errors import StoreError
from ringback.store.plan.answering import Role
from ringback.store.store import open_store
from ringback.web.app import announce, create_app
from ringback.web.control_socket import AlreadyRunningError
from ringback.web.links import Links, reachable_host
from ringback.web.serving import WebServer

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1

# When garbage is collected, in objects made and rounds. What a call leaves behind for 32 s is many objects:
# Python's own thresholds look through all of them every second or so, which takes a third of a second at 400
# calls a second.
_THRESHOLDS: Final = (10_000, 5, 50)

log = structlog.get_logger(__name__)


def run(settings: Settings, console: Console | None = None, *, command: str = "ringback serve") -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. What went wrong at the start is one line.

    `command` is how a person starts this server again; the settings were checked (`check_settings`).
    """
    console = console or Console(highlight=False)
    try:
        allow_many_sockets(settings)
        return uvloop.run(_serve(settings, console, command))
    except AlreadyRunningError as error:
        return _fail(str(error))
    except (StoreError, MediaWorkerError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"an address cannot be used: {error.strerror or error}")


def _fail(problem: str) -> int:
    Console(stderr=True, highlight=False).print(f"[red]ringback:[/red] {problem}", soft_wrap=True)
    return EXIT_FAILED


async def _serve(settings: Settings, console: Console, command: str) -> int:
    began = time.monotonic()
    # Before anything is opened: who is told to stop while starting closes everything again.
    stopped = stop_signal()
    store = await open_store(settings)
    try:
        server = Server(settings, store)
        app = create_app(
            store,
            server.operations,
            settings,
            door=server.sip_sockets,
            visiting=server.visiting,
            phoning=server.softphones,
            diagnosing=server.diagnoses,
            provisioning=PhoneFiles(
                settings,
                lambda: store.directory,
                lambda: app.state.context.links.web,
                lambda: {name: port for name, (_, port) in server.transports.addresses.items()},
            ),
            voicemail=server.voicemail.pages,
            backups=server.backups,
            speak=server.recording.speak,
        )
        certificate = await asyncio.to_thread(web_certificate, settings)
        tls = server_context(certificate.certificate, certificate.key) if certificate else None
        web = WebServer(app, settings, tls)
        certificates = CertificateKeeper(
            settings,
            sip=server.transports.reload_certificate,
            web=lambda renewed: web.renew(server_context(renewed.certificate, renewed.key)),
        )
        await web.start()
        try:
            await server.start()
            # Not before everything else went well: what this creates is shown only once.
            first = await bootstrap(store)
            server.open_for_calls()
            links = announce(app, web_port=web.address[1], sip_port=server.transports.addresses["udp"][1])
            server.web_address = web.address
            _welcome(console, settings, server, web, links)
            if first is not None:
                show_first_start(console, _first_rows(first, links), settings.data_dir / "first-start.txt")
            else:
                show_meetings(console, [(m.name, links.meeting(m)) for m in store.meetings.all()])
            if all(ipaddress.ip_address(address).is_loopback for address in settings.sip.bind):
                show_lan_hint(console, reachable_host("0.0.0.0"), command)  # noqa: S104 - only asks for our own
            if any(trunk.enabled for trunk in store.directory.trunks.values()):
                if not settings.routing.country:
                    show_country_hint(console)
                if not store.directory.plan.all(Role):
                    show_role_hint(console)
            if certificate is not None and certificate.authority is not None:
                show_trust_hint(console, certificate.authority)
            await certificates.start()
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, certificates.reload)
            log.info("ready", seconds=round(time.monotonic() - began, 2))
            # What lives from here on lives for good: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_THRESHOLDS)
            gc.enable()
            log.info("stopping", signal=await stopped)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, server.hurry)
        finally:
            await certificates.stop()
            await server.stop()
            await web.stop()
    finally:
        await store.close()
    return EXIT_OK


def _welcome(console: Console, settings: Settings, server: Server, web: WebServer, links: Links) -> None:
    sip = server.transports.listening
    wanted = {"udp": settings.sip.udp_port, "tcp": settings.sip.tcp_port, "tls": settings.sip.tls_port}
    listening = [
        Listening(f"SIP {name.upper()}", f"{bracketed(host)}:{port}", _moved(wanted[name], port))
        for name in ("udp", "tcp", "tls")
        for host, port in sip.get(name, ())
    ]
    listening.append(Listening("Web", links.web, _moved(settings.web.port, web.address[1])))
    low, high = settings.media.ports
    listening += [
        Listening("Media", f"{bracketed(host)}:{low}-{high}/udp") for host in settings.media_addresses
    ]
    show_listening(console, __version__, listening)


def _moved(wanted: int, got: int) -> str:
    return f"port {wanted} is taken" if wanted not in (0, got) else ""


def _first_rows(first: FirstStart, links: Links) -> list[tuple[str, str]]:
    meeting = first.meeting
    return [
        ("Administrator", f"choose a password within 24 hours: {links.setup(first.setup_secret)}"),
        *((f"Extension {e.number}", f"password {password.reveal()}") for e, password in first.extensions),
        (f"Meeting {meeting.name!r}", f"number {meeting.number}, dial {links.dial_in(meeting.number)}"),
        ("  guest PIN", meeting.guest_pin.reveal()),
        ("  host PIN", meeting.host_pin.reveal()),
        ("  link", links.meeting(meeting)),
        ("  host link", links.host(meeting)),
    ]
