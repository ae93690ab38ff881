"""Browsers in the engine: who gets in, who is heard, and when a leg is lost."""

from __future__ import annotations

import time

import pytest

from ringback.media.protocol import CloseLeg, CommandFailed, LegOpened, MediaConnected, MediaLost, OpenLeg
from ringback.webrtc.dtls import DtlsContext
from tests.media.world import Peer, World

from .browser import CERTIFICATE, CM, GCM, GCM256, USE_CERTIFICATE, Browser, Office, check, stun

LEVEL = -13.98


def lost(office: Office) -> list[tuple[int, str]]:
    return [(event.leg, event.reason) for event in office.of(MediaLost)]


def connected(office: Office) -> list[int]:
    return [event.leg for event in office.of(MediaConnected)]


@pytest.mark.parametrize("profiles", [GCM, GCM256, CM, CM + b":" + GCM])
def test_two_browsers_and_a_phone_hear_each_other_and_not_themselves(profiles: bytes) -> None:
    office = Office()
    peers: list[Peer] = [
        office.browse(Browser(1, 440.0, profiles=profiles)),
        office.browse(Browser(2, 1700.0, "PCMU", profiles=profiles)),
        office.add(Peer(3, "PCMU", 1000.0)),
    ]
    office.run(4)
    assert sorted(connected(office)) == [1, 2]
    for peer in peers:
        for other in peers:
            if peer is other:
                assert peer.level(peer.frequency) < -40
            else:
                assert peer.level(other.frequency) == pytest.approx(LEVEL, abs=1.5)
    assert lost(office) == []


def test_it_is_quick() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    office.run(0.3)
    assert connected(office) == [1]
    assert browser.packets
    assert set(browser.mapped) == {(browser.ip, browser.port)}


def test_browsers_share_sockets_and_phones_do_not_join_them() -> None:
    office = Office()
    for leg in range(1, 11):
        office.browse(Browser(leg))
    office.add(Peer(11, "PCMU"))
    ports = [event.rtp_port for event in office.of(LegOpened)]
    assert set(ports[:10]) == {20000}
    assert ports[10] != 20000
    office.run(0.5)
    assert sorted(connected(office)) == list(range(1, 11))
    assert len(office.of(MediaConnected)) == 10


def test_twenty_of_twenty_connect_while_client_hellos_are_sprayed() -> None:
    office = Office()
    donor = Browser(99)
    donor.mapped = [(1, 1)]
    hello = next(d for d in donor.drive(0.0) if d[0] == 22)
    browsers = [office.browse(Browser(leg)) for leg in range(1, 21)]
    for _ in range(100):
        for browser in browsers:
            for port in (9, browser.port + 1000):
                office.throw(hello, 2 * browser.to_pair, browser.ip, port)
        office.tick()
    assert sorted(connected(office)) == list(range(1, 21))
    assert lost(office) == []
    assert not [1 for _, _, port, datagram in office.outgoing if port == 9]


def test_a_handshake_is_done_over_a_line_that_loses_a_quarter() -> None:
    office = Office(seed=5)
    office.loss = 0.25
    browsers = [office.browse(Browser(leg)) for leg in range(1, 6)]
    for _ in range(30):
        office.run(6)
        if all(browser.secured for browser in browsers):
            break
        time.sleep(1.1)  # the client's OpenSSL sends again by its own clock: after 1, 2, 4, 8 and 16 s
    assert all(browser.secured for browser in browsers)
    assert sorted(connected(office)) == [browser.leg for browser in browsers]


def test_a_browser_that_comes_before_openssl_is_loaded_is_kept_waiting_and_not_lost() -> None:
    asked = 0

    def load(certificate: bytes, private_key: bytes) -> DtlsContext | None:
        nonlocal asked
        asked += 1
        return DtlsContext(certificate, private_key) if loaded else None

    loaded = False
    office = Office(load_dtls=load)
    browser = office.browse(Browser(1))
    office.run(1)
    assert asked > 1
    assert connected(office) == []
    loaded = True
    office.run(0.5)
    assert connected(office) == [1]
    assert browser.secured
    before = asked
    office.browse(Browser(2))
    office.run(0.5)
    assert connected(office) == [1, 2]
    assert asked == before, "one context is for all"


def test_without_a_certificate_there_is_no_browser_leg() -> None:
    office = World()
    office.apply(OpenLeg(leg=1, webrtc=True))
    assert "certificate" in office.of(CommandFailed)[-1].reason


def test_a_key_is_not_in_what_is_printed() -> None:
    for said in (repr(CERTIFICATE), repr(USE_CERTIFICATE)):
        assert repr(CERTIFICATE.private_key)[2:-1] not in said
        assert len(said) < 2000


def test_another_certificate_than_the_signalled_one_gets_nothing() -> None:
    office = Office()
    phone = office.add(Peer(2, "PCMU", 1000.0))
    impostor = office.browse(Browser(1, 440.0), fingerprint=":".join(["AB"] * 32))
    office.run(3)
    assert connected(office) == []
    assert lost(office) == [(1, "fingerprint")]
    assert impostor.packets == []
    assert phone.level(440.0) < -60


@pytest.mark.parametrize("algorithm", ["md5", "sha-1"])
def test_fingerprints_by_broken_hashes_are_refused(algorithm: str) -> None:
    office = Office()
    browser = Browser(1)
    office.apply(OpenLeg(leg=1, webrtc=True))
    media = browser.media()
    media.webrtc.remote_fingerprints[:] = [(algorithm, "AB")]  # type: ignore[union-attr]
    office.apply(media)
    assert "fingerprint" in office.of(CommandFailed)[-1].reason


def test_consent_runs_out_after_thirty_seconds_without_checks() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    office.run(1)
    browser.checks = False
    office.run(28)
    assert lost(office) == []
    before = len(browser.packets)
    office.run(4)
    assert lost(office) == [(1, "consent")]
    assert len(browser.packets) > before
    before = len(browser.packets)
    office.run(1)
    assert len(browser.packets) == before


def test_a_leg_that_consent_left_comes_back_with_new_credentials() -> None:
    office = Office()
    phone = office.add(Peer(2, "PCMU", 1000.0))
    browser = office.browse(Browser(1, 440.0))
    office.run(1)
    browser.checks = False
    office.run(33)
    assert lost(office) == [(1, "consent")]
    browser.restart()
    browser.checks, browser.port = True, 60001
    office.apply(browser.media())
    office.run(4)
    assert connected(office) == [1, 1]
    assert phone.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert browser.level(1000.0) == pytest.approx(LEVEL, abs=1.5)


def test_a_browser_that_never_comes_is_lost_after_thirty_seconds() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    browser.checks = False
    office.run(29)
    assert lost(office) == []
    office.run(2)
    assert lost(office) == [(1, "timeout")]


def test_no_media_goes_out_before_dtls_is_up() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    browser._started = True  # checks, but never a ClientHello
    office.run(3)
    assert browser.mapped
    assert browser.received_control == []
    assert all(datagram[0] < 4 for _, _, _, datagram in office.outgoing)
    assert browser.packets == []


def test_a_new_network_is_followed_when_it_is_nominated() -> None:
    office = Office()
    phone = office.add(Peer(2, "PCMU", 1000.0))
    browser = office.browse(Browser(1, 440.0))
    office.run(1)
    browser.ip, browser.port, browser._next_check = 0xC0000207, 7777, 0.0
    office.run(2)
    assert browser.mapped[-1] == (0xC0000207, 7777)
    assert browser.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert phone.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert connected(office) == [1]


def test_an_ice_restart_keeps_the_old_pair_until_the_new_one_is_nominated() -> None:
    office = Office()
    office.add(Peer(2, "PCMU", 1000.0))
    browser = office.browse(Browser(1, 440.0))
    office.run(1)
    old = browser.ours, browser.theirs
    browser.restart()
    office.apply(browser.media())
    browser.checks = False
    office.run(1)
    before = len(browser.packets)
    pair, home = browser.to_pair, (browser.ip, browser.port)
    # Still answered by the old credentials, on the old pair.
    office.throw(check(*old), 2 * pair, *home)
    office.tick()
    assert any(d[:2] == b"\1\1" for _, ip, port, d in office.outgoing if (ip, port) == home)
    # The new network is checked, not nominated yet.
    office.throw(check(browser.ours, browser.theirs, nominate=False), 2 * pair, 0xC0000207, 7777)
    office.run(0.5)
    assert len(browser.packets) - before >= 25
    browser.ip, browser.port, browser.checks, browser._next_check = 0xC0000207, 7777, True, 0.0
    office.run(2)
    assert browser.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    office.throw(check(*old), 2 * pair, *home)
    office.tick()
    assert not any(d[:2] == b"\1\1" for _, ip, port, d in office.outgoing if (ip, port) == home)
    assert connected(office) == [1]


def test_third_parties_are_not_heard_nor_followed() -> None:
    office = Office()
    phone = office.add(Peer(2, "PCMU", 1000.0))
    browser = office.browse(Browser(1, 440.0))
    office.run(1)
    stranger = Peer(9, "OPUS", 2000.0)
    wrong = (browser.theirs[0], "not the password at all")
    for _ in range(100):
        for _ in range(3):
            office.throw(stranger.speak(), 2 * browser.to_pair, 0xC6336401, 5000)
            # From the browser's own address, but not encrypted.
            office.throw(stranger.speak(), 2 * browser.to_pair, browser.ip, browser.port)
        office.throw(check(browser.ours, wrong), 2 * browser.to_pair, 0xC6336401, 5000)
        office.tick()
    assert phone.level(2000.0) < -50
    assert phone.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert browser.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert not [1 for _, _, port, d in office.outgoing if port == 5000 and d[0] >= 4]


def test_a_source_of_one_leg_cannot_be_taken_by_another() -> None:
    office = Office()
    phone = office.add(Peer(3, "PCMU", 1000.0))
    victim = office.browse(Browser(1, 440.0))
    robber = office.browse(Browser(2, 1700.0))
    office.run(1)
    for _ in range(20):
        office.throw(check(robber.ours, robber.theirs), 2 * victim.to_pair, victim.ip, victim.port)
        office.run(0.1)
    assert phone.level(440.0) == pytest.approx(LEVEL, abs=1.5)
    assert victim.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert robber.level(1000.0) == pytest.approx(LEVEL, abs=1.5)


def test_checks_without_integrity_are_answered_seldom_and_never_with_success() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    answers = []
    for _ in range(100):
        for port in range(4000, 4010):
            request = check(browser.ours, browser.theirs, password=None)
            office.throw(request, 2 * browser.to_pair, 0xC6336401, port)
            office.throw(stun(1, [], None), 2 * browser.to_pair, 0xC6336401, port)
        office.tick()
        answers += [d for _, ip, _, d in office.outgoing if ip == 0xC6336401]
    assert 0 < len(answers) <= 30
    assert {d[:2] for d in answers} == {b"\1\x11"}
    assert max(len(d) for d in answers) <= 64
    assert connected(office) == [1]


def test_closing_a_leg_tells_the_browser() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    office.run(1)
    office.apply(CloseLeg(leg=1))
    office.run(0.1)
    assert browser.closed


def test_a_browser_that_closes_is_lost_at_once() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    office.run(1)
    browser._connection.shutdown()
    browser._collect()
    office.run(0.1)
    assert lost(office) == [(1, "dtls")]


def test_a_browser_leg_has_dtls_and_nothing_else() -> None:
    office = Office()
    browser = Browser(1)
    office.apply(OpenLeg(leg=1, webrtc=True))
    media = browser.media()
    for wrong in ({"webrtc": None, "remote_ip": "10.0.0.1", "remote_port": 4000}, {"webrtc": None}):
        office.apply(type(media)(**({f: getattr(media, f) for f in media.__struct_fields__} | wrong)))
    assert len(office.of(CommandFailed)) == 2
    office.apply(OpenLeg(leg=2))
    office.apply(Browser(2).media())
    assert len(office.of(CommandFailed)) == 3


def test_noise_of_every_kind_harms_nobody() -> None:
    office = Office(seed=3)
    phone = office.add(Peer(2, "PCMU", 1000.0))
    browser = office.browse(Browser(1, 440.0))
    for step in range(200):
        for _ in range(20):
            size = office.random.randrange(0, 1400)
            first = bytes([office.random.choice([0, 1, 2, 3, 20, 21, 22, 23, 63, 128, 144, 255])])
            body = first + office.random.randbytes(size)
            home = (browser.ip, browser.port) if step > 60 else (0xC6336401, 5000)
            if body[0] in (20, 21, 22, 23) and home[0] == browser.ip:
                body = first + b"\xfe\xfd\0\1" + body[5:]
            office.throw(body, 2 * browser.to_pair, *home)
        office.tick()
    assert connected(office) == [1]
    assert lost(office) == []
    assert phone.level(440.0) == pytest.approx(LEVEL, abs=1.5)


def test_a_reloaded_page_on_the_same_leg_shakes_hands_anew() -> None:
    office = Office()
    phone = office.add(Peer(2, "PCMU", 1000.0))
    first = office.browse(Browser(1, 440.0))
    office.run(1)
    office.browsers.remove(first)
    page = Browser(1, 1700.0)
    page.restart()
    page.ip, page.port, page.to_pair = first.ip, 61111, first.to_pair
    office.apply(page.media())
    office.peers[1] = page
    office.delay[1] = lambda _at: 0.0 if page.secured else None
    office.browsers.append(page)
    office.run(3)
    assert connected(office) == [1, 1]
    assert phone.level(1700.0) == pytest.approx(LEVEL, abs=1.5)
    assert page.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert lost(office) == []


def test_a_hold_and_a_resume_leave_the_keys_as_they_are() -> None:
    office = Office()
    office.add(Peer(2, "PCMU", 1000.0))
    browser = office.browse(Browser(1, 440.0))
    office.run(1)
    media = browser.media()
    held = type(media)(
        **({f: getattr(media, f) for f in media.__struct_fields__} | {"direction": "inactive"})
    )
    office.apply(held)
    before = len(browser.packets)
    office.run(1)
    assert len(browser.packets) == before
    office.apply(media)
    office.run(2)
    assert browser.level(1000.0) == pytest.approx(LEVEL, abs=1.5)
    assert connected(office) == [1]


def test_reports_go_over_the_same_port_under_the_same_keys() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    reports = []
    for _ in range(400):
        office.tick()
        reports += [d for s, ip, port, d in office.outgoing if port == browser.port and 192 <= d[1] <= 223]
    assert len(reports) >= 2
    plain = browser.inbound.unprotect_rtcp(reports[-1])
    assert plain[1] == 200
    assert len({s for s, *_ in office.outgoing}) == 1


def test_a_flood_of_checks_keeps_nobody_out() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    office.run(0.5)
    wrong = [check(browser.ours, (browser.theirs[0], "wrong" * 5)) for _ in range(50)]
    late = office.browse(Browser(2, 1000.0))
    seen = len(browser.mapped)
    for _ in range(150):
        for i in range(1000):
            # The flood is mixed with what is real.
            office.throw(wrong[i % 50], 0, 0xC6336401, 1024 + i, after_ms=i % 20)
        office.tick()
    assert len(browser.mapped) > seen
    assert sorted(connected(office)) == [1, 2]
    assert late.packets
    assert lost(office) == []


def test_a_stream_is_not_turned_on_an_address_that_did_not_ask_for_it() -> None:
    office = Office()
    office.add(Peer(2, "PCMU", 1000.0))
    browser = office.browse(Browser(1, 440.0))
    office.run(1)
    victim = (0xC6336401, 5000)
    sent = []
    for _ in range(100):
        # Who knows the password forges an address, and nominates it.
        office.throw(check(browser.ours, browser.theirs), 2 * browser.to_pair, *victim)
        office.tick()
        sent += [d for _, ip, port, d in office.outgoing if (ip, port) == victim]
    assert sent
    assert all(d[0] < 4 for d in sent)
    assert browser.level(1000.0) == pytest.approx(LEVEL, abs=1.5)


def test_a_browser_that_answers_no_check_gets_no_media() -> None:
    office = Office()
    browser = office.browse(Browser(1))
    browser.answers = False
    office.run(31)
    assert connected(office) == []
    assert lost(office) == [(1, "timeout")]
    assert browser.probes > 10
    assert browser.packets == []
