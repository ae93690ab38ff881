"""Fixtures of the wire tests: real phones, browsers, and the real command."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.wire.baresip import Baresip
from tests.wire.browser import CHROMIUM, Browser
from tests.wire.desk_office import DeskOffice, desk_office
from tests.wire.desk_staff import Staff, staffed_server
from tests.wire.kamailio import Kamailio
from tests.wire.linphone import Linphone
from tests.wire.long_calls import LongCalls
from tests.wire.namespaces import skip_without_namespaces
from tests.wire.server import RingbackServer
from tests.wire.sip_phone import SipPhone
from tests.wire.sipp import Sipp
from tests.wire.site import Site, made_site


@pytest.fixture
def make_baresip(tmp_path: Path) -> Iterator[Callable[..., Baresip]]:
    """Start baresip phones that end with the test."""
    if shutil.which("baresip") is None:
        pytest.fail("baresip is missing: scripts/setup test installs it")
    phones: list[Baresip] = []
    numbers = itertools.count()

    def make(name: str, **settings: object) -> Baresip:
        phone = Baresip(tmp_path / f"phone-{next(numbers)}", name, **settings)  # type: ignore[arg-type]
        phones.append(phone)
        return phone.start()

    yield make
    for phone in phones:
        phone.stop()


@pytest.fixture
def make_browser(tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Start browsers that end with the test."""
    if not CHROMIUM.exists():
        pytest.fail("chromium is missing: scripts/setup test installs it")
    browsers: list[Browser] = []

    def make(name: str, **settings: object) -> Browser:
        browser = Browser(tmp_path / f"browser-{len(browsers)}", name, **settings)  # type: ignore[arg-type]
        browsers.append(browser)
        return browser.start(playwright)

    # For each test anew: while it is there, no other test could have an event loop.
    with sync_playwright() as playwright:
        yield make
        for browser in browsers:
            browser.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RingbackServer]:
    """A server that many tests share: each makes its own meetings and extensions."""
    firmware = {"RINGBACK_PROVISIONING__FIRMWARE": '{"Yealink T46U": "108.86.0.70"}'}
    server = RingbackServer(tmp_path_factory.mktemp("shared"), settings=firmware).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def long_calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LongCalls]:
    """Calls that want a refresh; tests that take long name them, too, so that nobody has to wait for them."""
    calls = LongCalls(tmp_path_factory.mktemp("long")).start()
    yield calls
    calls.stop()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., RingbackServer]]:
    """Start servers of a test's own, to be killed and filled with garbage."""
    servers: list[RingbackServer] = []

    def make(**options: object) -> RingbackServer:
        server = RingbackServer(tmp_path / f"server-{len(servers)}", **options)  # type: ignore[arg-type]
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.kill_all()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server and a host on Wi-Fi, whose network can change."""
    skip_without_namespaces()
    with made_site(tmp_path) as made:
        yield made


@pytest.fixture
def make_phone() -> Iterator[Callable[..., SipPhone]]:
    """Make small test phones that hang up with the test."""
    phones: list[SipPhone] = []

    def make(target: RingbackServer, *words: str, **settings: Any) -> SipPhone:
        phone = SipPhone(settings.pop("server", target.udp), *words, **settings)
        phones.append(phone)
        return phone

    yield make
    for phone in phones:
        phone.close()


@pytest.fixture
def make_linphone(tmp_path: Path) -> Iterator[Callable[..., Linphone]]:
    """Start linphones with an account at a server, made for them, that end with the test."""
    if shutil.which("linphonec") is None:
        pytest.fail("linphonec is missing: scripts/setup test installs it")
    phones: list[Linphone] = []

    def make(target: RingbackServer, number: str, **settings: object) -> Linphone:
        folder = tmp_path / f"linphone-{len(phones)}"
        password = target.add_extension(number)
        phone = Linphone(folder, number, server=target, password=password, **settings)  # type: ignore[arg-type]
        phones.append(phone)
        phone.start().register()
        return phone

    yield make
    for phone in phones:
        phone.stop()


@pytest.fixture
def make_sipp(tmp_path: Path) -> Iterator[Callable[..., Sipp]]:
    """Start runs of SIPp against a server that end with the test."""
    runs: list[Sipp] = []

    def make(target: RingbackServer, *words: str, **settings: object) -> Sipp:
        run = Sipp(tmp_path / f"sipp-{len(runs)}", target.udp, *words, **settings)  # type: ignore[arg-type]
        runs.append(run)
        return run.start()

    yield make
    for run in runs:
        run.stop()


@pytest.fixture
def make_kamailio(tmp_path: Path) -> Iterator[Callable[..., Kamailio]]:
    """Start proxies with a test's own routing that end with the test."""
    if shutil.which("kamailio") is None:
        pytest.fail("kamailio is missing: scripts/setup test installs it")
    proxies: list[Kamailio] = []

    def make(script: str, **values: object) -> Kamailio:
        proxy = Kamailio(tmp_path / f"kamailio-{len(proxies)}", script, **values)
        proxies.append(proxy)
        return proxy.start()

    yield make
    for proxy in proxies:
        proxy.stop()


@pytest.fixture(scope="module")
def staffed_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RingbackServer]:
    """A server with an office of desk phones."""
    with staffed_server(tmp_path_factory.mktemp("desk-phones")) as server:
        yield server


@pytest.fixture(scope="module", params=["baresip", "linphone", pytest.param("agent", marks=pytest.mark.long)])
def everybody(
    request: pytest.FixtureRequest, staffed_office: RingbackServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Staff]:
    """All phones of one program's tests, registered once."""
    staff = Staff(staffed_office, request.param, tmp_path_factory.mktemp(request.param))
    yield staff
    staff.close()


@pytest.fixture
def staff(everybody: Staff) -> Iterator[Staff]:
    """All phones, in no call."""
    yield everybody
    everybody.hang_up()


@pytest.fixture(scope="module", params=["baresip", "linphone"])
def shared_desk_office(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeskOffice]:
    """An office with desk phones of one make, of which each test finds nobody in a call by `rest`."""
    with desk_office(tmp_path_factory.mktemp(request.param), request.param) as office:
        yield office


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add to a failed test what the servers it used have printed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, RingbackServer):
                report.sections.append((f"output of {name}", value.output()[-6000:]))
