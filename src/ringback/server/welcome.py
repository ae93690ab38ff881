"""What the server says on the terminal when it starts: where it is reached, and once, what was created."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

MEETINGS_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Listening:
    """One address we are reached at, and a word when it is not the one that was asked for."""

    name: str
    address: str
    remark: str = ""


def show_listening(console: Console, version: str, listening: list[Listening]) -> None:
    """Print where the server is reached."""
    console.print(f"[bold]Ringback {version}[/bold] is ready.")
    _show_rows(
        console,
        (
            (
                entry.name,
                escape(entry.address) + (f"  [yellow]{entry.remark}[/yellow]" if entry.remark else ""),
            )
            for entry in listening
        ),
    )


def show_lan_hint(console: Console, address: str, command: str) -> None:
    """Print the line that opens a server on loopback to the LAN: three addresses, and how it was started."""
    console.print(f"\nOnly this machine can call it. To open it to the LAN, as {address}:")
    opened = "RINGBACK_SIP__BIND=0.0.0.0 RINGBACK_MEDIA__BIND=0.0.0.0 RINGBACK_WEB__BIND=0.0.0.0"
    console.print(f"  {opened} {escape(command)}", soft_wrap=True)


def show_country_hint(console: Console) -> None:
    """Print what is not protected where there are trunks and nobody said in which country numbers are
    written."""
    console.print(
        "\n[yellow]routing.country is not set.[/yellow] Numbers without a plus are compared as they are "
        "dialled: what is blocked or dear\nin one form may be called in another. Set it to the country that "
        f'people dial in, as country = "US" under {escape("[routing]")}.',
        soft_wrap=True,
    )


def show_role_hint(console: Console) -> None:
    """Print who may call what where there are trunks and the plan has no role."""
    console.print(
        "\n[yellow]The plan has no role:[/yellow] every extension may call numbers of all classes, abroad "
        "too, up to their caps (ringback trunk usage).\nTo restrict it: ringback plan set role standard "
        "classes=national",
        soft_wrap=True,
    )


def show_meetings(console: Console, links: Sequence[tuple[str, str]]) -> None:
    """Print the links of the first few meetings, by name, on a terminal: who has one can join."""
    if not console.is_terminal or not links:
        return
    console.print("\nMeetings, by browser:")
    _show_rows(console, ((escape(name), escape(link)) for name, link in links[:MEETINGS_SHOWN]))
    if len(links) > MEETINGS_SHOWN:
        console.print(
            f"  and {len(links) - MEETINGS_SHOWN} more: ringback meeting list, ringback meeting show NUMBER"
        )


def show_trust_hint(console: Console, authority: Path) -> None:
    """Print the one line that ends browsers' warnings."""
    console.print(
        f"\nBrowsers warn until they trust {escape(str(authority))}; how: ringback certificate show",
        soft_wrap=True,
    )


def show_first_start(console: Console, rows: Iterable[tuple[str, str]], file: Path) -> None:
    """Show what the first start created, this once: on a terminal, or else in a file only its owner reads.

    What is not a terminal is a log, and secrets do not go to logs.
    """
    if console.is_terminal:
        console.print("\n[bold]First start: this is shown once.[/bold]")
        _show_rows(console, ((name, escape(value)) for name, value in rows))
        return
    known = list(rows)
    width = max(len(name) for name, _ in known)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as text:
        text.writelines(f"{name:<{width}}  {value}\n" for name, value in known)
    console.print(f"\nFirst start: passwords, PINs and links are in {escape(str(file))}", soft_wrap=True)
    console.print("  (only you can read it; delete it when you have them)")


def _show_rows(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    # Lines are never wrapped: a broken link cannot be clicked, a broken password not copied.
    known = list(rows)
    width = max(len(name) for name, _ in known)
    for name, value in known:
        console.print(f"  {name:<{width}}  {value}", soft_wrap=True)
