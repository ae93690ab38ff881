"""What the control process and a media worker say to each other: commands down, events up.

Both travel over one Unix stream socket as frames of a 4-byte big-endian length and a msgpack map
tagged with the message's name. Identifiers of legs, rooms and plays are chosen by the control process.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ringback.media.message import Message as _Message
from ringback.media.stream_messages import PlayStream, StreamSamples, StreamWanted

Codec = Literal["PCMU", "PCMA", "G722", "OPUS", "L16"]
"""L16 is that of 16000 Hz and one channel (RFC 3551 4.5.11)."""
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
SrtpSuite = Literal[
    "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"
]


class SrtpKeys(msgspec.Struct, frozen=True, kw_only=True):
    """SDES keys of one leg (RFC 4568): master key and salt joined, as in the inline parameter, decoded."""

    suite: SrtpSuite
    local_key: bytes
    remote_key: bytes

    def __repr__(self) -> str:
        return f"SrtpKeys(suite={self.suite!r})"


class WebRtcKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What a WebRTC leg's offer and answer said: ICE credentials both ways and the peer's certificates.

    `remote_fingerprints` are pairs of a hash in lower case ("sha-256") and its value in upper case hex with
    colons (RFC 8122); the peer's certificate must match one of them.
    """

    local_ufrag: str
    local_pwd: str
    remote_ufrag: str
    remote_pwd: str
    remote_fingerprints: list[tuple[str, str]]

    def __repr__(self) -> str:
        return f"WebRtcKeys(local_ufrag={self.local_ufrag!r}, remote_ufrag={self.remote_ufrag!r})"


class AudioFormat(msgspec.Struct, frozen=True, kw_only=True):
    """A codec and the RTP payload type it has on this leg."""

    codec: Codec
    payload_type: int


class OpusWishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer asks of the Opus it receives (RFC 7587 §6.1): the rate in Hz beyond which it hears nothing,
    the bitrate in bit/s, whether silence need not be sent."""

    max_playback_rate: int = 48_000
    max_average_bitrate: int = 510_000
    discontinuous: bool = False


# Commands: control → media


class OpenLeg(_Message, frozen=True, kw_only=True):
    """Reserve a place and a local RTP address for a leg; answered by LegOpened or CommandFailed.

    `remote_ip`/`remote_port` are what an offer that is at hand already says of the peer: then the port may be
    shared with legs of other addresses, which costs fewer sockets. Without them the leg has a port of its
    own. `webrtc` legs share one whatever their addresses: they are told apart by ICE.

    `group` names what will be mixed together, as far as it is known: the room that the leg is going to join,
    0 if that is still open. Only legs of one group share ports: a group can go to another worker whole.

    With `ipv6` the address is one of IPv6, by which IPv4 is reached too where media is received on all
    interfaces of both.
    """

    leg: int
    remote_ip: str = ""
    remote_port: int = 0
    webrtc: bool = False
    group: int = 0
    ipv6: bool = False


class SetMedia(_Message, frozen=True, kw_only=True):
    """Apply the outcome of an offer/answer exchange to a leg; may be repeated (hold, codec or address
    change).

    `receive` lists every format the peer may send; `send` is the one we send. `remote_ip`/`remote_port` are
    what SDP said: media goes there until the source is learnt (symmetric RTP), and a third party cannot
    take it over once it is locked. `remote_rtcp_port` is 0 with `rtcp_mux`. `direction` is ours.

    With `webrtc` (only on a leg opened so; excludes `srtp`, implies `rtcp_mux`) `remote_ip` and `remote_port`
    are not looked at ("" and 0): the address is learnt from ICE checks, the SRTP keys from DTLS. New ICE
    credentials are an ICE restart; new fingerprints a new DTLS association.

    `audio_level_extension` is the header extension in which the peer tells the level of its audio (RFC 6464),
    0 if it does not: what it tells to be quiet need not be decoded. With `reference_times` the round trip is
    also measured where one side sends no audio (RFC 3611 4.4).

    `telephone_event` is the payload type that we send key presses with, `telephone_event_clocks` the clock in
    Hz of each type that either side may use. `ptime_ms` is how much goes into a packet: 20, 40 or 60, where
    that many frames of the codec fit. `opus` is what the peer asks of the Opus it receives.
    """

    leg: int
    send: AudioFormat
    receive: list[AudioFormat]
    telephone_event: int | None = None
    telephone_event_clocks: dict[int, int] = msgspec.field(default_factory=dict)
    remote_ip: str
    remote_port: int
    remote_rtcp_port: int
    rtcp_mux: bool = False
    direction: Direction = "sendrecv"
    ptime_ms: int = 20
    opus: OpusWishes | None = None
    srtp: SrtpKeys | None = None
    webrtc: WebRtcKeys | None = None
    audio_level_extension: int = 0
    reference_times: bool = False


class CloseLeg(_Message, frozen=True, kw_only=True):
    """Free a leg; answered by LegClosed, with its totals where these are wanted: of a leg that lived for a
    moment they are most of the work."""

    leg: int
    totals: bool = True


class JoinRoom(_Message, frozen=True, kw_only=True):
    """Put a leg into a room (created by its first leg, gone with its last); it leaves any other room."""

    leg: int
    room: int


class LeaveRoom(_Message, frozen=True, kw_only=True):
    """Take a leg out of its room: it hears only what is played to it."""

    leg: int


class SetVoice(_Message, frozen=True, kw_only=True):
    """How a leg takes part: `muted` is not heard, `deaf` hears nothing of the room, `echo` hears itself.

    One that is not `recorded` is in no track of its room's recording and not in the recorded mix. `agc`
    brings its voice slowly to one loudness (about -23 dBFS while it talks, by at most 12 dB), `denoise`
    suppresses its noise; where Ready says that this cannot be done, asking for it fails.
    """

    leg: int
    muted: bool = False
    deaf: bool = False
    echo: bool = False
    gain_db: float = 0.0
    recorded: bool = True
    agc: bool = False
    denoise: bool = False


class Play(_Message, frozen=True, kw_only=True):
    """Play sounds one after another to a leg, mixed over what it hears; answered by PlayEnded.

    A sound is the absolute path of a .wav (8 or 16 kHz mono PCM) or .g722 file, `tone:NAME`
    (entry, exit, chime, error, beep, ringback, busy, dial), `silence:MS` or `music` (endless).
    A new Play on a leg replaces the one before, whose PlayEnded says "replaced".
    """

    leg: int
    play: int
    sounds: list[str]
    loop: bool = False
    stop_on_digit: bool = False
    from_ms: int = 0
    """How much is left out at the beginning, because it was heard already."""


class StopPlay(_Message, frozen=True, kw_only=True):
    """End what is being played to a leg, if anything is; PlayEnded says "stopped"."""

    leg: int


class PlayToRoom(_Message, frozen=True, kw_only=True):
    """Play sounds to everybody in a room, once or, with `loop`, until StopRoomPlay.

    What has a number, `play`, is answered by RoomPlayEnded. `gain_db` makes the sounds louder or softer,
    `duck_db` all voices of the room while they play.
    """

    room: int
    sounds: list[str]
    play: int = 0
    loop: bool = False
    gain_db: float = 0.0
    duck_db: float = 0.0


class SendDigits(_Message, frozen=True, kw_only=True):
    """Send DTMF digits to a leg's peer as RFC 4733 events (100 ms each, 50 ms apart)."""

    leg: int
    digits: str


class UseCertificate(_Message, frozen=True, kw_only=True):
    """Show this certificate to browsers from now on (DER, the key as PKCS #8): the first command to a worker,
    for without one it has no WebRTC legs. All workers get the same: signalling names its fingerprint."""

    certificate: bytes
    private_key: bytes

    def __repr__(self) -> str:
        return "UseCertificate()"


class StopRoomPlay(_Message, frozen=True, kw_only=True):
    """End what is being played to a room under a number, if anything is; RoomPlayEnded says "stopped"."""

    room: int
    play: int


class Monitor(_Message, frozen=True, kw_only=True):
    """Let a leg hear, 20 ms later, what another one says and hears; None ends that.

    Nobody hears the listener by that. It is best in no room: of a room it hears that, too.
    """

    leg: int
    target: int | None


class Whisper(_Message, frozen=True, kw_only=True):
    """Let a leg be heard, 20 ms later, by one other alone, in whatever room either is; None ends that."""

    leg: int
    target: int | None


class StartRecording(_Message, frozen=True, kw_only=True):
    """Record a room: `mix`, and with `tracks` `leg-N` of every leg that is in it meanwhile and is `recorded`.

    All files begin and end together: one 16-bit sample at `rate` in each is the same moment. They are made in
    `folder` (absolute, made if it is not there), with mode 0600; a file that is there already is an error.
    With a data key of 32 octets they are parts of the vault's voice of 16 characters (`mix.rbv`), without
    one, as tools and tests want it, plain WAV (`mix.wav`). Answered by RecordingStarted or RecordingFailed,
    in the end by RecordingEnded.
    """

    room: int
    recording: int
    folder: str
    rate: Literal[8000, 16000] = 16000
    tracks: bool = True
    voice: str = ""
    key: bytes = b""

    def __repr__(self) -> str:
        return f"StartRecording(room={self.room}, recording={self.recording})"


class StopRecording(_Message, frozen=True, kw_only=True):
    """End a recording; RecordingEnded comes when its files are complete."""

    recording: int


class SentSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where what we send to a leg stands: its SSRC, the next packet's sequence number and timestamp, how
    often the sequence number has wrapped (SRTP's roll-over counter), and when that was (CLOCK_MONOTONIC)."""

    ssrc: int
    sequence: int
    timestamp: int
    roll_over: int
    at_ns: int


class AdoptLeg(_Message, frozen=True, kw_only=True):
    """Go on with a leg that another worker had, on the ports that its peer knows; answered as OpenLeg is.

    The sockets were handed over before. `media` is its last SetMedia. `source` is where its media really came
    from, `keys` are those that DTLS gave, `heard` is the last SSRC and extended sequence number under SRTP:
    what is older is a replay. Without `sent` we are a new source to the peer, and what has come while nobody
    looked after the ports is dropped.
    """

    leg: int
    rtp_port: int
    rtcp_port: int
    webrtc: bool = False
    group: int = 0
    media: SetMedia | None = None
    source: tuple[bytes, int] | None = None
    keys: SrtpKeys | None = None
    heard: tuple[int, int] | None = None
    sent: SentSource | None = None
    ipv6: bool = False


class ReleaseLegs(_Message, frozen=True, kw_only=True):
    """Stop with these legs without a word to their peers, who go on with another worker on the same ports;
    answered by LegsReleased. They share ports with no others."""

    legs: list[int]


class Shutdown(_Message, frozen=True, kw_only=True):
    """End the worker process cleanly."""


Command = (
    OpenLeg
    | SetMedia
    | CloseLeg
    | JoinRoom
    | LeaveRoom
    | SetVoice
    | Play
    | StopPlay
    | PlayToRoom
    | SendDigits
    | UseCertificate
    | AdoptLeg
    | ReleaseLegs
    | Shutdown
    | StopRoomPlay
    | Monitor
    | Whisper
    | StartRecording
    | StopRecording
    | PlayStream
    | StreamSamples
)

# Events: media → control


class Ready(_Message, frozen=True, kw_only=True):
    """The worker runs; the first event on the socket. `codecs` are those whose library is present.

    `noise_suppression` is whether `denoise` of SetVoice can be done.
    """

    pid: int
    codecs: list[Codec]
    noise_suppression: bool = False


class LegOpened(_Message, frozen=True, kw_only=True):
    """A leg's local address; RTCP is at `rtcp_port` (the RTP port itself is used with rtcp-mux)."""

    leg: int
    rtp_port: int
    rtcp_port: int


class CommandFailed(_Message, frozen=True, kw_only=True):
    """A command could not be carried out: its name, the leg it named, and why, without private data."""

    command: str
    leg: int | None
    reason: str


class LegTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What one leg received and sent since SetMedia; jitter, times and levels in the units of the names."""

    received_packets: int = 0
    expected_packets: int = 0
    lost_packets: int = 0
    late_packets: int = 0
    duplicate_packets: int = 0
    rejected_packets: int = 0
    concealed_frames: int = 0
    sent_packets: int = 0
    jitter_ms: float = 0.0
    buffer_ms: float = 0.0
    level_dbfs: float = -100.0
    round_trip_ms: float | None = None
    remote_lost_fraction: float | None = None
    remote_jitter_ms: float | None = None
    seconds_since_received: float | None = None
    remote_discarded_fraction: float | None = None
    remote_delay_ms: float | None = None
    remote_r_factor: float | None = None
    remote_mos: float | None = None
    reordered_packets: int = 0
    discarded_frames: int = 0
    stretched_frames: int = 0
    sent_octets: int = 0


class LegClosed(_Message, frozen=True, kw_only=True):
    """A leg is gone."""

    leg: int
    totals: LegTotals


class SourceLearnt(_Message, frozen=True, kw_only=True):
    """The address a leg's media really comes from; `differs` when it is not what SDP said (NAT).

    For WebRTC it is where media goes, told whenever that changes, port 0 for nowhere. The address, `host` in
    network order (4 or 16 octets), is for another worker to go on with, and for nobody to see.
    """

    leg: int
    differs: bool
    host: bytes = b""
    port: int = 0

    def __repr__(self) -> str:
        return f"SourceLearnt(leg={self.leg}, differs={self.differs})"


class KeysAgreed(_Message, frozen=True, kw_only=True):
    """The SRTP keys of a WebRTC leg, for another worker to go on with: DTLS gives them only once."""

    leg: int
    keys: SrtpKeys


class MediaConnected(_Message, frozen=True, kw_only=True):
    """A WebRTC leg's DTLS is up and the peer's certificate is the signalled one: media may flow."""

    leg: int


class MediaLost(_Message, frozen=True, kw_only=True):
    """A WebRTC leg's media is gone: no consent for 30 s (RFC 7675), or DTLS failed. Told once; a new
    SetMedia with new ICE credentials may bring it back."""

    leg: int
    reason: Literal["consent", "timeout", "dtls", "fingerprint"]


class Digit(_Message, frozen=True, kw_only=True):
    """A DTMF digit was received: one of 0-9 * # A-D, once per key press."""

    leg: int
    digit: str
    duration_ms: int


class PlayEnded(_Message, frozen=True, kw_only=True):
    """What was being played to a leg ended: all of it, by a digit, by StopPlay, or by a newer Play."""

    leg: int
    play: int
    reason: Literal["finished", "digit", "stopped", "replaced"]


class Talking(_Message, frozen=True, kw_only=True):
    """Who speaks in a room now, loudest first, as pairs of leg and level in dBFS; at most ten a second."""

    room: int
    talkers: list[tuple[int, float]]


class Statistics(_Message, frozen=True, kw_only=True):
    """Once a second: how the worker keeps its clock, and how many sockets it has.

    `late_ticks` began 20 ms late or more, or never; `overdue_ticks` more than 40 ms late. Since its start.
    `heard` has for each leg under SRTP what AdoptLeg wants to know.
    """

    busy_fraction: float
    late_ticks: int
    sockets: int
    overdue_ticks: int = 0
    heard: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """How many observations were at most each bound of media/measured.py; the last count is of all."""

    counts: list[int]
    sum: float


class ReleasedLeg(msgspec.Struct, frozen=True, kw_only=True):
    """Where a leg stands that is to go on elsewhere; `played_ms` is how far what is played to it has come."""

    totals: LegTotals
    heard: tuple[int, int] | None = None
    sent: SentSource | None = None
    played_ms: int = 0


class LegsReleased(_Message, frozen=True, kw_only=True):
    """The worker has nothing to do any more with these legs, nor with the ports (of RTP) that they had.

    What is counted of them begins at 0 with the next worker.
    """

    legs: dict[int, ReleasedLeg]
    ports: list[int]


class PairClosed(_Message, frozen=True, kw_only=True):
    """The worker closed a socket pair that it had from another and that no leg used any more."""

    rtp_port: int


class LegStatistics(_Message, frozen=True, kw_only=True):
    """Once a second: what was counted and measured of every leg since the message before, `seconds` ago.

    `legs` are the identifiers' octets as native int64, rising; `rows` one ROW of media/measured.py each.
    `sums` are the COUNTS of all legs together, exact, those that were closed meanwhile included. `quiet` are
    legs of which nothing came for QUIET_S or ever.
    """

    legs: bytes
    rows: bytes
    seconds: float
    sums: list[int]
    quiet: list[int]
    jitter_ms: Histogram
    buffer_ms: Histogram
    round_trip_ms: Histogram
    loss: Histogram


class RoomPlayEnded(_Message, frozen=True, kw_only=True):
    """What was being played to a room under a number ended; "room_ended" with its last leg."""

    room: int
    play: int
    reason: Literal["finished", "stopped", "room_ended"]


class RecordingStarted(_Message, frozen=True, kw_only=True):
    """The first files of a recording are there."""

    recording: int


class RecordingFailed(_Message, frozen=True, kw_only=True):
    """A recording could not be begun, and why, without private data."""

    recording: int
    reason: str


RecordingEndReason = Literal["stopped", "room_ended", "disk_full", "disk_slow", "failed"]


class RecordingEnded(_Message, frozen=True, kw_only=True):
    """A recording is over, and its files are as long as they will be: `frames` of 20 ms, None if unknown.

    "disk_slow": more than the writer's memory waited for the disk. `dropped_frames` could not be written and
    are silence. `legs` are those that have a track.
    """

    recording: int
    reason: RecordingEndReason
    frames: int | None
    dropped_frames: int
    legs: list[int]


Event = (
    Ready
    | LegOpened
    | CommandFailed
    | LegClosed
    | SourceLearnt
    | MediaConnected
    | MediaLost
    | Digit
    | PlayEnded
    | Talking
    | Statistics
    | LegStatistics
    | RoomPlayEnded
    | RecordingStarted
    | RecordingFailed
    | RecordingEnded
    | KeysAgreed
    | LegsReleased
    | PairClosed
    | StreamWanted
)
