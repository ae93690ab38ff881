"""What can be seen to be wrong before anything is created or opened: one line that names the setting."""

from __future__ import annotations

import resource
import socket
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ringback.config import Settings
from ringback.net.tls import client_context, server_context

# Sockets of the SIP and web limits together, with room for files and workers.
_DESCRIPTORS: Final = 16_384
# What the media engine reads of a sound.
_MUSIC_BYTES: Final = 10 << 20


class UnusableSettingError(RuntimeError):
    """A setting is well-formed, but not possible on this machine; the text says which and why."""


def check_settings(settings: Settings) -> None:
    """Raise UnusableSettingError for an address that is not ours, or a certificate that cannot be used."""
    for name, address in (
        *(("sip.bind", address) for address in settings.sip.bind),
        ("web.bind", settings.web.bind),
        *(("media.bind", address) for address in settings.media_addresses),
    ):
        _check_address(name, address)
    # By name: asking the media engine's own module would load NumPy into this process.
    if settings.conference.noise_suppression and not find_spec("webrtc_noise_gain"):
        raise UnusableSettingError(
            "conference.noise_suppression needs the package webrtc-noise-gain: pip install 'ringback[noise]'"
        )
    if settings.calling.music is not None:
        _check_music(settings.calling.music)
    for section, certificate, key in (
        ("sip", settings.sip.certificate, settings.sip.private_key),
        ("web", settings.web.certificate, settings.web.private_key),
    ):
        if certificate is not None and key is not None:
            _check_certificate(section, certificate, key)
    authorities = settings.sip.client_authorities
    if authorities is not None:
        try:
            client_context(authorities)
        except OSError as error:
            raise UnusableSettingError(
                f"sip.client_authorities {authorities} cannot be used: {error.strerror or error}"
            ) from None


def allow_many_sockets(settings: Settings) -> None:
    """Lift the soft limit of open files: shells and systemd leave 1,024, fewer than our own limits allow.

    The sockets of all media ports come to that: they are held, so that they outlive the media workers.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first, last = settings.media.ports
    wanted = _DESCRIPTORS + last - first + 1
    wanted = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_certificate(section: str, certificate: Path, key: Path) -> None:
    try:
        server_context(certificate, key)
    except OSError as error:
        raise UnusableSettingError(
            f"{section}.certificate {certificate} with {section}.private_key {key} cannot be used: "
            f"{error.strerror or error}"
        ) from None


def _check_music(path: Path) -> None:
    try:
        if path.stat().st_size > _MUSIC_BYTES:
            raise UnusableSettingError(f"calling.music {path} is larger than {_MUSIC_BYTES >> 20} MB")
        with wave.open(str(path)) as file:
            form = file.getparams()
    except (OSError, EOFError, wave.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no PCM WAV file"
        raise UnusableSettingError(f"calling.music {path} cannot be used: {reason or error}") from None
    if (form.nchannels, form.sampwidth) != (1, 2) or form.framerate not in (8000, 16_000):
        found = f"{form.nchannels} channels, {8 * form.sampwidth} bit, {form.framerate} Hz"
        raise UnusableSettingError(
            f"calling.music {path} has to be mono, 16 bit, 8000 or 16000 Hz; it has {found}. "
            f"To convert it: sox {path} -r 16000 -c 1 -b 16 music.wav"
        )


def _check_address(name: str, address: str) -> None:
    six = ":" in address
    family, everywhere = (socket.AF_INET6, "::") if six else (socket.AF_INET, "0.0.0.0")  # noqa: S104
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        raise UnusableSettingError(
            f"{name} {address} cannot be used: {error.strerror or error}; "
            f"it has to be an address of this machine, or {everywhere} for all of them"
        ) from None
