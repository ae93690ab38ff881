"""A search of everything on a disk for what nobody may read there: voices in any form, PINs, numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ringback.media.codec.g711 import encode

PIECE = 24
"""Octets that no other data has by chance."""
_STARTS = 8
Samples = NDArray[np.float32]


def voice_forms(samples: Samples) -> dict[str, bytes]:
    """Pieces of a voice of 16 kHz: 16-bit samples, µ-law and A-law, at 16 kHz and at 8 kHz by either half.

    A search for octets finds them at any alignment; the pieces begin where it is loud.
    """
    pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    loud = np.flatnonzero(np.abs(pcm) > np.abs(pcm).max() // 2)
    found: dict[str, bytes] = {}
    for index in np.linspace(0, len(loud) - 1, _STARTS).astype(int):
        at = int(loud[index])
        for name, piece in (
            ("16 kHz", pcm[at : at + PIECE]),
            ("8 kHz", pcm[at : at + 2 * PIECE : 2]),
            ("8 kHz, other half", pcm[at + 1 : at + 1 + 2 * PIECE : 2]),
        ):
            if len(piece) < PIECE or len(set(piece.tolist())) < PIECE // 3:
                continue
            real = piece.astype(np.float32) / 32768
            found[f"PCM {name} at {at}"] = piece.astype("<i2").tobytes()
            if name == "16 kHz":
                continue
            found[f"µ-law {name} at {at}"] = encode(real, "PCMU").tobytes()
            found[f"A-law {name} at {at}"] = encode(real, "PCMA").tobytes()
    assert found, "there is no voice in it"
    return found


def texts(*secrets: str) -> dict[str, bytes]:
    """What is written, such as PINs and numbers."""
    return {f"text {secret[:2]}…": secret.encode() for secret in secrets}


def found_in(places: Iterable[Path], wanted: dict[str, bytes]) -> list[tuple[str, str]]:
    """Where in files, and in all files of folders, something of it can be read."""
    found = []
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                found += [(str(path), name) for name, secret in wanted.items() if secret in data]
    return found
