"""The kinds of values that settings have: addresses, networks, lists, codecs, paths."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field


def split_list(value: object) -> object:
    """Text with commas as a tuple; anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _ip(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError('must be an IP address such as "127.0.0.1" or "0.0.0.0"') from None


def host_port(text: str, default: int) -> tuple[str, int]:
    """Address and port of "192.0.2.53", "192.0.2.53:5353", "2001:db8::53" or "[2001:db8::53]:53"."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, str(default)
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError("no port")
    return str(ipaddress.ip_address(host.strip("[]"))), int(port)


def of_family(addresses: tuple[str, ...], version: int) -> str:
    """The first IPv4 (4) or IPv6 (6) address among them, "" without one."""
    return next((one for one in addresses if (":" in one) is (version == 6)), "")


def _one_per_family(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) != len({":" in one for one in value}):
        raise ValueError("must be at most one IPv4 and one IPv6 address")
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(item, strict=False)) for item in value)
    except ValueError:
        raise ValueError('must be networks in CIDR notation, e.g. ["192.0.2.0/24"]') from None


def _codecs(value: object) -> object:
    """Names however they are written, each once."""
    if isinstance(value, str):
        value = split_list(value)
    if isinstance(value, list | tuple):
        return tuple(dict.fromkeys(str(name).strip().upper().replace(".", "") for name in value))
    return value


CodecName = Literal["PCMU", "PCMA", "G722", "OPUS", "L16"]
CodecList = Annotated[tuple[CodecName, ...], BeforeValidator(_codecs)]
OptionalPath = Annotated[Path | None, BeforeValidator(_none_if_empty)]
IpAddress = Annotated[str, BeforeValidator(_ip)]
OnePerFamily = Annotated[tuple[IpAddress, ...], BeforeValidator(split_list), AfterValidator(_one_per_family)]
Port = Annotated[int, Field(ge=0, le=65535)]
CommaList = Annotated[tuple[str, ...], BeforeValidator(split_list)]
Networks = Annotated[CommaList, AfterValidator(_networks)]
ServiceNumber = Annotated[str, Field(pattern=r"^\*?[0-9]{2,15}$")]
