"""Which site, trunk or kind of network an address belongs to: from a table, or by what the address itself
says."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from ringback.diagnosis.many.calls import RowProblem
from ringback.governance.shown import fit_to_show

Network = IPv4Network | IPv6Network

_OWN: Final = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
"""Of RFC 1918 and RFC 4193. Not all that Python calls private: test networks, for one, are nobody's site."""


@dataclass(frozen=True, slots=True)
class Places:
    """Networks with what they are: the narrowest that holds an address counts.

    Without a table each private /24 (RFC 1918) or /64 (RFC 4193) is a site, and every other address a trunk.
    """

    known: Sequence[tuple[Network, Mapping[str, str]]] = field(default_factory=tuple)

    def of(self, address: str) -> Mapping[str, str]:
        """What is known of an address: `site` or `trunk`, perhaps `network` (Wi-Fi, wired)."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return {}
        for network, what in self.known:
            if parsed in network:
                return what
        if any(parsed in network for network in _OWN):
            width = 24 if parsed.version == 4 else 64
            return {"site": str(ip_network((parsed, width), strict=False))}
        return {"trunk": address}

    def is_inside(self, address: str) -> bool:
        """Whether it is one of a site's own."""
        return "site" in self.of(address)


def read_places(text: str) -> tuple[Places, list[RowProblem]]:
    """A CSV table with columns `network` (192.0.2.0/24), and any of `site`, `trunk`, `kind` (wifi, wired)."""
    known: list[tuple[Network, Mapping[str, str]]] = []
    problems: list[RowProblem] = []
    reader = csv.DictReader(io.StringIO(text, newline=None), skipinitialspace=True)
    try:
        for row in reader:
            try:
                network = ip_network((row.get("network") or "").strip(), strict=False)
            except ValueError:
                problems.append(RowProblem(reader.line_num, "its network is none, such as 192.0.2.0/24"))
                continue
            named = {"site": "site", "trunk": "trunk", "kind": "network"}
            what = {to: fit_to_show(row.get(name) or "") for name, to in named.items()}
            known.append((network, {name: value for name, value in what.items() if value}))
    except csv.Error:
        problems.append(RowProblem(reader.line_num, "the table breaks here: what follows was not read"))
    known.sort(key=lambda one: -one[0].prefixlen)
    return Places(known), problems
