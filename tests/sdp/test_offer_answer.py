from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringback.media.legs import pack_wishes, unpack_wishes
from ringback.media.protocol import AudioFormat, Codec, OpusWishes, SrtpSuite
from ringback.sdp.crypto import KEY_BYTES, Crypto, parse_crypto
from ringback.sdp.description import SessionDescription
from ringback.sdp.encode import encode_sdp
from ringback.sdp.negotiated import Answer, Local, NegotiatedMedia, Refusal
from ringback.sdp.offer_answer import accept_answer, answer, make_offer
from ringback.sdp.parse import parse_sdp

from . import bodies
from .bodies import body

KEY = "NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj"
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"
LOCAL = Local(address="192.0.2.1", rtp_port=20_000, rtcp_port=20_001)


def described(data: bytes) -> SessionDescription:
    description = parse_sdp(data)
    assert isinstance(description, SessionDescription), description
    return description


def audio(*lines: str, c: str = "IN IP4 192.0.2.9", before: tuple[str, ...] = ()) -> SessionDescription:
    return described(body("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", f"c={c}", "t=0 0", *before, *lines))


def answered(offer: SessionDescription, local: Local = LOCAL) -> Answer:
    result = answer(offer, local)
    assert isinstance(result, Answer), result
    # What goes out must be readable as it was meant.
    assert parse_sdp(encode_sdp(result.description)) == result.description
    return result


def refused(offer: SessionDescription, local: Local = LOCAL) -> Refusal:
    result = answer(offer, local)
    assert isinstance(result, Refusal), result
    assert result.status == 488
    return result


def lines_of(description: SessionDescription) -> list[str]:
    return encode_sdp(description).decode().splitlines()


class TestRealClients:
    def test_baresip_gets_its_opus_with_its_number(self) -> None:
        result = answered(described(bodies.BARESIP))
        assert result.media.send == AudioFormat(codec="OPUS", payload_type=96)
        assert [f.codec for f in result.media.receive] == ["OPUS", "G722", "PCMU", "PCMA"]
        assert (result.media.remote_ip, result.media.remote_port) == ("192.0.2.10", 16_998)
        assert result.media.remote_rtcp_port == 16_999
        assert result.media.telephone_event == 101
        assert result.media.opus is not None
        assert result.media.opus.stereo
        lines = lines_of(result.description)
        assert "m=audio 20000 RTP/AVP 96 9 0 8 101" in lines
        assert "a=fmtp:96 maxplaybackrate=16000;minptime=10;useinbandfec=1" in lines
        assert "a=fmtp:101 0-15" in lines

    def test_linphone_video_is_turned_down_and_the_event_clock_is_that_of_opus(self) -> None:
        result = answered(described(bodies.LINPHONE))
        assert result.media.telephone_event == 101
        assert result.media.opus is not None
        assert result.media.opus.in_band_fec
        lines = lines_of(result.description)
        assert "m=video 0 RTP/AVP 96 97" in lines
        assert "a=rtpmap:101 telephone-event/48000" in lines

    def test_linphone_without_opus_gets_events_at_8000(self) -> None:
        result = answered(described(bodies.LINPHONE), replace(LOCAL, codecs=("PCMA", "PCMU")))
        assert result.media.send.codec == "PCMU"
        assert result.media.telephone_event == 100

    def test_yealink_keeps_its_order_unless_ours_is_asked_for(self) -> None:
        offer = described(bodies.YEALINK)
        assert answered(offer).media.send.codec == "G722"
        ours = answered(offer, replace(LOCAL, answer_order="ours"))
        assert ours.media.send == AudioFormat(codec="OPUS", payload_type=107)
        assert "m=audio 20000 RTP/AVP 107 9 0 8 101" in lines_of(ours.description)
        assert ours.media.opus is not None
        assert ours.media.opus.max_average_bitrate == 20_000

    def test_of_two_audio_lines_the_first_usable_is_taken(self) -> None:
        offer = described(bodies.YEALINK_OPTIONAL_SRTP)
        plain = answered(offer)
        assert (plain.media.section, plain.media.srtp) == (1, None)
        assert [media.port for media in plain.description.media] == [0, 20_000]
        secure = answered(offer, replace(LOCAL, srtp="allowed"))
        assert secure.media.section == 0
        assert secure.media.srtp is not None
        assert [media.port for media in secure.description.media] == [20_000, 0]

    def test_a_browser_without_keys_we_can_use_is_refused(self) -> None:
        for policy in ("refused", "allowed", "required"):
            assert refused(described(bodies.CHROMIUM), replace(LOCAL, srtp=policy)).warning == 302


class TestFormats:
    def test_static_types_need_no_rtpmap(self) -> None:
        result = answered(audio("m=audio 4000 RTP/AVP 13 8 0 9"))
        assert [(f.codec, f.payload_type) for f in result.media.receive] == [
            ("PCMA", 8),
            ("PCMU", 0),
            ("G722", 9),
        ]
        assert result.media.telephone_event is None

    def test_names_are_read_in_any_case(self) -> None:
        result = answered(
            audio(
                "m=audio 4000 RTP/AVP 97 98 99",
                "a=rtpmap:97 OPUS/48000/2",
                "a=rtpmap:98 pcmu/8000/1",
                "a=rtpmap:99 TELEPHONE-EVENT/8000",
            )
        )
        assert [f.codec for f in result.media.receive] == ["OPUS", "PCMU"]
        assert result.media.telephone_event == 99

    @pytest.mark.parametrize(
        "rtpmap", ["opus/48000", "opus/48000/1", "opus/16000/2", "PCMU/16000", "G729/8000", "x"]
    )
    def test_what_we_do_not_speak_is_refused(self, rtpmap: str) -> None:
        assert refused(audio("m=audio 4000 RTP/AVP 96", f"a=rtpmap:96 {rtpmap}")).warning == 305

    def test_a_number_with_two_meanings_is_passed_over(self) -> None:
        result = answered(
            audio("m=audio 4000 RTP/AVP 96 8", "a=rtpmap:96 PCMU/8000", "a=rtpmap:96 opus/48000/2")
        )
        assert [f.codec for f in result.media.receive] == ["PCMA"]

    def test_a_static_number_that_is_remapped_means_what_it_says(self) -> None:
        result = answered(audio("m=audio 4000 RTP/AVP 0 8", "a=rtpmap:0 G729/8000"))
        assert [f.codec for f in result.media.receive] == ["PCMA"]

    def test_numbers_that_would_be_taken_for_rtcp_are_not_used_with_mux(self) -> None:
        lines = ("m=audio 4000 RTP/AVP 72 8", "a=rtpmap:72 PCMU/8000")
        assert answered(audio(*lines)).media.send.payload_type == 72
        assert answered(audio(*lines, "a=rtcp-mux")).media.send.payload_type == 8

    def test_impossible_numbers_are_passed_over(self) -> None:
        assert answered(audio("m=audio 4000 RTP/AVP 128 999 * 8 8")).description.media[0].formats == ("8",)

    def test_a_codec_offered_twice_is_taken_once(self) -> None:
        result = answered(
            audio("m=audio 4000 RTP/AVP 96 97", "a=rtpmap:96 opus/48000/2", "a=rtpmap:97 opus/48000/2")
        )
        assert result.media.receive == (AudioFormat(codec="OPUS", payload_type=96),)

    @pytest.mark.parametrize(
        ("fmtp", "usable"),
        [("0-15", True), ("0-16", True), ("0-11,16", True), ("0-9", False), ("32-36", False)],
    )
    def test_telephone_events_must_hold_the_keypad(self, fmtp: str, usable: bool) -> None:
        lines = ("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", f"a=fmtp:101 {fmtp}")
        assert answered(audio(*lines)).media.telephone_event == (101 if usable else None)

    def test_opus_with_events_at_8000_only_uses_them(self) -> None:
        lines = (
            "m=audio 4000 RTP/AVP 96 101",
            "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:101 telephone-event/8000",
        )
        assert answered(audio(*lines)).media.telephone_event == 101

    @pytest.mark.parametrize(
        ("lines", "ptime_ms"),
        [
            ((), 20),
            (("a=ptime:20",), 20),
            (("a=ptime:30",), 20),
            (("a=ptime:40",), 40),
            (("a=ptime:10",), 20),
            (("a=ptime:400",), 60),
            (("a=ptime:60", "a=maxptime:40"), 40),
            (("a=ptime:x",), 20),
        ],
    )
    def test_packet_time_is_in_whole_frames(self, lines: tuple[str, ...], ptime_ms: int) -> None:
        assert answered(audio("m=audio 4000 RTP/AVP 0", *lines)).media.ptime_ms == ptime_ms


class TestDirection:
    @pytest.mark.parametrize(
        ("offered", "ours"),
        [
            ("sendrecv", "sendrecv"),
            ("sendonly", "recvonly"),
            ("recvonly", "sendonly"),
            ("inactive", "inactive"),
        ],
    )
    def test_the_answer_turns_the_direction_around(self, offered: str, ours: str) -> None:
        at_media = answered(audio("m=audio 4000 RTP/AVP 0", f"a={offered}"))
        at_session = answered(audio("m=audio 4000 RTP/AVP 0", before=(f"a={offered}",)))
        for result in (at_media, at_session):
            assert result.media.direction == ours
            assert f"a={ours}" in lines_of(result.description)
        assert at_media.media.on_hold == (ours in ("recvonly", "inactive"))

    def test_the_media_level_wins(self) -> None:
        offer = audio("m=audio 4000 RTP/AVP 0", "a=sendrecv", before=("a=inactive",))
        assert answered(offer).media.direction == "sendrecv"

    def test_our_own_wish_limits_it(self) -> None:
        offer = audio("m=audio 4000 RTP/AVP 0")
        assert answered(offer, replace(LOCAL, direction="sendonly")).media.direction == "sendonly"
        held = audio("m=audio 4000 RTP/AVP 0", "a=sendonly")
        assert answered(held, replace(LOCAL, direction="sendonly")).media.direction == "inactive"

    def test_the_old_hold_sends_nothing_anywhere(self) -> None:
        result = answered(audio("m=audio 4000 RTP/AVP 0", c="IN IP4 0.0.0.0"))
        assert result.media.direction == "recvonly"
        assert result.media.on_hold
        assert (result.media.remote_port, result.media.remote_rtcp_port) == (0, 0)

    def test_the_worker_is_told_what_the_peer_asks_of_opus(self) -> None:
        fmtp = "a=fmtp:96 usedtx=1;maxplaybackrate=8000;maxaveragebitrate=16000"
        offer = audio("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2", fmtp)
        wishes = OpusWishes(max_playback_rate=8000, max_average_bitrate=16000, discontinuous=True)
        assert answered(offer).media.set_media(1).opus == wishes
        assert unpack_wishes(pack_wishes(wishes)) == wishes
        plain = answered(audio("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2")).media.set_media(1)
        assert pack_wishes(plain.opus) == pack_wishes(None) == 0

    def test_the_worker_is_told_the_clocks_of_the_events(self) -> None:
        lines = ("a=rtpmap:101 telephone-event/8000", "a=rtpmap:99 telephone-event/48000")
        offer = audio("m=audio 4000 RTP/AVP 96 101 99", "a=rtpmap:96 opus/48000/2", *lines)
        command = answered(offer).media.set_media(1)
        assert (command.telephone_event, command.telephone_event_clocks) == (99, {101: 8000, 99: 48000})

    def test_l16_is_spoken_where_it_is_wanted(self) -> None:
        offer = audio("m=audio 4000 RTP/AVP 0 97", "a=rtpmap:97 L16/16000")
        assert answered(offer).media.send.codec == "PCMU"
        ours = replace(LOCAL, codecs=("L16", "PCMU"), answer_order="ours")
        assert answered(offer, ours).media.send == AudioFormat(codec="L16", payload_type=97)
        other = audio("m=audio 4000 RTP/AVP 11 97", "a=rtpmap:97 L16/8000")
        refused(other, ours)
        lines = lines_of(make_offer(ours))
        assert "a=rtpmap:109 L16/16000" in lines
        assert "a=rtpmap:103 telephone-event/16000" in lines

    def test_the_worker_is_told_all_of_it(self) -> None:
        command = answered(described(bodies.BARESIP)).media.set_media(7)
        assert (command.leg, command.send.codec, command.telephone_event) == (7, "OPUS", 101)
        assert (command.remote_ip, command.remote_port) == ("192.0.2.10", 16_998)


class TestTargets:
    def test_c_at_the_media_level_wins(self) -> None:
        result = answered(audio("m=audio 4000 RTP/AVP 0", "c=IN IP4 192.0.2.77"))
        assert result.media.remote_ip == "192.0.2.77"

    @pytest.mark.parametrize(
        "connection",
        [
            "IN IP4 224.2.1.1/127",
            "IN IP4 239.255.0.1",
            "IN IP4 255.255.255.255",
            "IN IP4 240.0.0.1",
            "IN IP4 0.1.2.3",
            "IN IP4 127.0.0.1",
            "IN IP4 phone.example.com",
            "IN IP4 192.0.2.256",
            "IN IP6 2001:db8::1",
        ],
    )
    def test_media_is_never_aimed_there(self, connection: str) -> None:
        assert refused(audio("m=audio 4000 RTP/AVP 0", c=connection)).warning in (300, 301)

    def test_loopback_talks_to_loopback(self) -> None:
        offer = audio("m=audio 4000 RTP/AVP 0", c="IN IP4 127.0.0.1")
        assert answered(offer, replace(LOCAL, address="127.0.0.1")).media.remote_ip == "127.0.0.1"
        assert answered(offer, replace(LOCAL, loopback_peers=True)).media.remote_ip == "127.0.0.1"

    @pytest.mark.parametrize("port", [1, 53, 1_023])
    def test_privileged_ports_are_refused(self, port: int) -> None:
        assert refused(audio(f"m=audio {port} RTP/AVP 0")).warning == 301

    def test_a_missing_c_line_is_refused(self) -> None:
        offer = described(body("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "t=0 0", "m=audio 4000 RTP/AVP 0"))
        refused(offer)

    @pytest.mark.parametrize(
        ("lines", "port"),
        [
            ((), 4_001),
            (("a=rtcp:53020",), 53_020),
            (("a=rtcp:53020 IN IP4 198.51.100.1",), 53_020),
            (("a=rtcp:53",), 4_001),
            (("a=rtcp:99999",), 4_001),
            (("a=rtcp-mux",), 0),
        ],
    )
    def test_where_rtcp_goes(self, lines: tuple[str, ...], port: int) -> None:
        result = answered(audio("m=audio 4000 RTP/AVP 0", *lines))
        assert result.media.remote_rtcp_port == port
        assert result.media.rtcp_mux == ("a=rtcp-mux" in lines)
        assert ("a=rtcp-mux" in lines_of(result.description)) == result.media.rtcp_mux

    def test_an_odd_rtcp_port_of_ours_is_told(self) -> None:
        result = answered(audio("m=audio 4000 RTP/AVP 0"), replace(LOCAL, rtcp_port=20_007))
        assert "a=rtcp:20007" in lines_of(result.description)

    @pytest.mark.parametrize(
        "lines", [(), ("m=audio 0 RTP/AVP 0",), ("m=video 4000 RTP/AVP 96",), ("m=image 4000 udptl t38",)]
    )
    def test_no_audio_is_refused(self, lines: tuple[str, ...]) -> None:
        assert refused(audio(*lines)).warning == 304


class TestSrtp:
    def test_keys_are_agreed_over_tls(self) -> None:
        local = replace(LOCAL, srtp="allowed", random_bytes=lambda count: b"k" * count)
        result = answered(audio("m=audio 4000 RTP/SAVP 0", CRYPTO), local)
        assert result.media.srtp is not None
        assert result.media.srtp.remote_key == base64.b64decode(KEY)
        assert result.media.srtp.local_key == b"k" * 30
        line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.b64encode(b"k" * 30).decode()
        assert line in lines_of(result.description)
        assert result.description.media[0].protocol == "RTP/SAVP"

    def test_the_first_suite_we_have_is_taken_with_its_tag(self) -> None:
        gcm = base64.b64encode(bytes(44)).decode()
        offer = audio(
            "m=audio 4000 RTP/SAVP 0",
            f"a=crypto:1 F8_128_HMAC_SHA1_80 inline:{KEY}",
            f"a=crypto:4 AEAD_AES_256_GCM inline:{gcm}|2^31",
            f"a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:{KEY}",
        )
        result = answered(offer, replace(LOCAL, srtp="required"))
        assert result.media.srtp is not None
        assert result.media.srtp.suite == "AEAD_AES_256_GCM"
        assert len(result.media.srtp.local_key) == 44
        assert (result.description.media[0].value("crypto") or "").startswith("4 AEAD_AES_256_GCM inline:")

    @pytest.mark.parametrize(
        ("suites", "chosen"),
        [
            (("AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80"), "AES_CM_128_HMAC_SHA1_80"),
            (("AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"), "AEAD_AES_128_GCM"),
            (("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"), "AES_CM_128_HMAC_SHA1_80"),
            (("AEAD_AES_128_GCM", "AEAD_AES_256_GCM"), "AEAD_AES_128_GCM"),
            (("AES_CM_128_HMAC_SHA1_32",), "AES_CM_128_HMAC_SHA1_32"),
        ],
    )
    def test_the_offerers_order_counts_but_a_weak_tag_is_the_last_choice(
        self, suites: tuple[SrtpSuite, ...], chosen: str
    ) -> None:
        lines = [Crypto(n, suite, bytes(KEY_BYTES[suite])).attribute() for n, suite in enumerate(suites, 1)]
        offer = audio("m=audio 4000 RTP/SAVP 0", *(f"a=crypto:{line.value}" for line in lines))
        result = answered(offer, replace(LOCAL, srtp="required"))
        assert result.media.srtp is not None
        assert result.media.srtp.suite == chosen
        said = result.description.media[0].value("crypto") or ""
        assert said.startswith(f"{suites.index(chosen) + 1} {chosen} inline:")  # type: ignore[arg-type]

    def test_a_new_key_of_the_peers_leaves_ours_as_it_is(self) -> None:
        local = replace(LOCAL, srtp="required")
        first = answered(audio("m=audio 4000 RTP/SAVP 0", CRYPTO), local)
        other = CRYPTO.replace(KEY, base64.b64encode(bytes(range(30))).decode())
        again = answer(audio("m=audio 4000 RTP/SAVP 0", other), local, first.description)
        assert isinstance(again, Answer)
        assert first.media.srtp is not None
        assert again.media.srtp is not None
        assert again.media.srtp.local_key == first.media.srtp.local_key
        assert again.media.srtp.remote_key == bytes(range(30))

    def test_keys_never_go_over_plain_signalling(self) -> None:
        assert refused(audio("m=audio 4000 RTP/SAVP 0", CRYPTO)).warning == 302
        plain = answered(audio("m=audio 4000 RTP/AVP 0", CRYPTO))
        assert plain.media.srtp is None
        assert not plain.description.media[0].has("crypto")

    def test_required_means_required(self) -> None:
        local = replace(LOCAL, srtp="required")
        refused(audio("m=audio 4000 RTP/AVP 0"), local)
        refused(audio("m=audio 4000 RTP/SAVP 0"), local)
        assert answered(audio("m=audio 4000 RTP/AVP 0", CRYPTO), local).media.srtp is not None

    def test_keys_offered_with_plain_rtp_are_taken_up(self) -> None:
        result = answered(audio("m=audio 4000 RTP/AVP 0", CRYPTO), replace(LOCAL, srtp="allowed"))
        assert result.media.srtp is not None
        assert result.description.media[0].protocol == "RTP/AVP"

    @pytest.mark.parametrize(
        "value",
        [
            # RFC 4568 §9.1 and §5.1 (with a lifetime; the window hint may be passed over)
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20",
            f"1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^20 WSH=64",
            f"1 aes_cm_128_hmac_sha1_80 INLINE:{KEY}|1048576 -KDR=3",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^48",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1",
            "1 AEAD_AES_128_GCM inline:" + base64.b64encode(bytes(28)).decode().rstrip("="),
        ],
    )
    def test_crypto_lines_we_can_use(self, value: str) -> None:
        crypto = parse_crypto(value)
        assert crypto is not None
        assert len(crypto.key) == KEY_BYTES[crypto.suite]

    @pytest.mark.parametrize(
        "value",
        [
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4",  # an MKI
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|0",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^49",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|281474976710657",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|never",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}",
            f"2 F8_128_HMAC_SHA1_80 inline:{KEY}|2^20",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=3",
            "1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=",
            "1 AES_CM_128_HMAC_SHA1_80 inline:A",
            "1 AES_CM_128_HMAC_SHA1_80 inline:",
            "1 AES_CM_128_HMAC_SHA1_80",
            "x AES_CM_128_HMAC_SHA1_80 inline:" + KEY,
            "",
        ],
    )
    def test_crypto_lines_we_cannot_use(self, value: str) -> None:
        assert parse_crypto(value) is None

    def test_keys_are_not_printed(self) -> None:
        result = answered(audio("m=audio 4000 RTP/SAVP 0", CRYPTO), replace(LOCAL, srtp="allowed"))
        assert KEY not in repr(result)
        assert repr(base64.b64decode(KEY))[2:-1] not in repr(result)


class TestOffer:
    def exchange(self, ours: Local, theirs: Local) -> tuple[NegotiatedMedia, NegotiatedMedia]:
        offer = make_offer(ours)
        reply = answer(described(encode_sdp(offer)), theirs)
        assert isinstance(reply, Answer), reply
        accepted = accept_answer(offer, described(encode_sdp(reply.description)), ours)
        assert isinstance(accepted, NegotiatedMedia), accepted
        return accepted, reply.media

    @given(
        st.lists(st.sampled_from(["OPUS", "G722", "PCMU", "PCMA"]), min_size=1, unique=True),
        st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"]),
        st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"]),
        st.sampled_from(["refused", "allowed"]),
        st.booleans(),
    )
    def test_both_ends_agree(self, codecs: list[Codec], ours: str, theirs: str, srtp: str, mux: bool) -> None:
        one = replace(LOCAL, direction=ours, srtp=srtp, offer_rtcp_mux=mux)
        two = replace(LOCAL, address="192.0.2.2", codecs=tuple(codecs), direction=theirs, srtp="allowed")
        caller, callee = self.exchange(one, two)
        assert caller.send == callee.send
        assert caller.receive == callee.receive
        assert caller.telephone_event == callee.telephone_event
        assert caller.rtcp_mux == callee.rtcp_mux == mux
        assert {caller.direction, callee.direction} in (
            {"sendrecv"},
            {"sendonly", "recvonly"},
            {"inactive"},
        )
        assert (caller.remote_ip, callee.remote_ip) == ("192.0.2.2", "192.0.2.1")
        assert (caller.srtp is None) == (callee.srtp is None) == (srtp == "refused")
        if caller.srtp and callee.srtp:
            assert caller.srtp.local_key == callee.srtp.remote_key
            assert caller.srtp.remote_key == callee.srtp.local_key

    def test_what_is_offered(self) -> None:
        lines = lines_of(make_offer(replace(LOCAL, offer_rtcp_mux=True)))
        assert "m=audio 20000 RTP/AVP 107 9 0 8 101 102" in lines
        assert "a=rtpmap:107 opus/48000/2" in lines
        assert "a=rtpmap:9 G722/8000" in lines
        assert "a=rtpmap:102 telephone-event/48000" in lines
        assert "a=rtcp-mux" in lines
        assert "a=sendrecv" in lines
        assert not any("crypto" in line for line in lines)

    def test_required_srtp_is_offered_as_such_and_not_taken_back(self) -> None:
        local = replace(LOCAL, srtp="required")
        offer = make_offer(local)
        assert offer.media[0].protocol == "RTP/SAVP"
        assert len(list(offer.media[0].values("crypto"))) == 4
        plain = audio("m=audio 4000 RTP/AVP 0")
        assert isinstance(accept_answer(offer, plain, local), Refusal)

    def test_allowed_srtp_takes_a_plain_answer(self) -> None:
        local = replace(LOCAL, srtp="allowed")
        accepted = accept_answer(make_offer(local), audio("m=audio 4000 RTP/AVP 0"), local)
        assert isinstance(accepted, NegotiatedMedia)
        assert accepted.srtp is None

    def test_an_answer_with_a_key_nobody_asked_for_is_refused(self) -> None:
        assert isinstance(
            accept_answer(make_offer(LOCAL), audio("m=audio 4000 RTP/SAVP 0", CRYPTO), LOCAL), Refusal
        )

    def test_an_answer_that_renumbers_is_sent_to_by_its_numbers(self) -> None:
        reply = audio("m=audio 4000 RTP/AVP 120", "a=rtpmap:120 opus/48000/2")
        accepted = accept_answer(make_offer(LOCAL), reply, LOCAL)
        assert isinstance(accepted, NegotiatedMedia)
        assert accepted.send == AudioFormat(codec="OPUS", payload_type=120)
        assert [f.payload_type for f in accepted.receive] == [107, 120]

    @pytest.mark.parametrize(
        "lines",
        [
            ("m=audio 0 RTP/AVP 0",),
            ("m=audio 4000 RTP/AVP 18",),
            ("m=video 4000 RTP/AVP 96",),
            (),
            ("m=audio 4000 UDP/TLS/RTP/SAVPF 0",),
        ],
    )
    def test_an_answer_without_audio_is_a_refusal(self, lines: tuple[str, ...]) -> None:
        assert isinstance(accept_answer(make_offer(LOCAL), audio(*lines), LOCAL), Refusal)

    def test_hold_and_resume_keep_numbers_lines_keys_and_count_versions(self) -> None:
        offer = audio(
            "m=video 5000 RTP/AVP 96",
            "m=audio 4000 RTP/SAVP 96 0 107 101",
            "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:107 iLBC/8000",
            "a=rtpmap:101 telephone-event/8000",
            CRYPTO,
        )
        local = replace(LOCAL, srtp="allowed")
        first = answered(offer, local)
        hold = make_offer(replace(local, direction="sendonly"), previous=first.description)
        assert hold.origin.session_id == first.description.origin.session_id
        assert hold.origin.session_version == first.description.origin.session_version + 1
        assert [(m.kind, m.port, m.protocol) for m in hold.media] == [
            ("video", 0, "RTP/AVP"),
            ("audio", 20_000, "RTP/SAVP"),
        ]
        assert hold.media[1].formats[0] == "96"
        assert "a=rtpmap:101 telephone-event/8000" in lines_of(hold)
        assert (hold.media[1].value("crypto") or "").split()[2] == (
            first.description.media[1].value("crypto") or ""
        ).split()[2]
        again = make_offer(replace(local, direction="sendonly"), previous=hold)
        assert again == hold

    def test_the_same_answer_again_has_the_same_version_and_key(self) -> None:
        offer, local = audio("m=audio 4000 RTP/SAVP 0", CRYPTO), replace(LOCAL, srtp="allowed")
        first = answered(offer, local)
        assert answer(offer, local, first.description) == first
        held = answer(audio("m=audio 4000 RTP/SAVP 0", CRYPTO, "a=sendonly"), local, first.description)
        assert isinstance(held, Answer)
        assert held.description.origin.session_version == first.description.origin.session_version + 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from("cbam"), st.text(alphabet="0123456789 /:;=abcIPRTVudio.-|^\u0660", max_size=40)
        ).map(lambda p: f"{p[0]}={p[1]}")
        | st.sampled_from(
            [
                "m=audio 4000 RTP/AVP 0 96 101",
                "m=audio 4000 RTP/SAVP 0 96",
                "a=rtpmap:96 opus/48000/2",
                "a=rtpmap:96 telephone-event/8000",
                "a=fmtp:96 0-15",
                CRYPTO,
                "c=IN IP4 0.0.0.0",
                "a=sendonly",
            ]
        ),
        max_size=12,
    )
)
def test_no_peer_makes_an_answer_raise(lines: list[str]) -> None:
    description = parse_sdp(body("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", *lines))
    if isinstance(description, SessionDescription):
        local = replace(LOCAL, srtp="allowed")
        result = answer(description, local)
        if isinstance(result, Answer):
            assert isinstance(parse_sdp(encode_sdp(result.description)), SessionDescription)
        accept_answer(make_offer(local), description, local)
