"""What the server says on the terminal when it starts: where it is reached, and once, what was created."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Listening:
    """One address we are reached at, and a word when it is not the one that was asked for."""

    name: str
    address: str
    remark: str = ""


def show_listening(console: Console, version: str, listening: list[Listening]) -> None:
    """Print where the server is reached."""
    console.print(f"[bold]Ringback {version}[/bold] is ready.")
    table = Table.grid(padding=(0, 2))
    for entry in listening:
        table.add_row(
            f"  {entry.name}", entry.address, f"[yellow]{entry.remark}[/yellow]" if entry.remark else ""
        )
    console.print(table)


def show_lan_hint(console: Console, address: str) -> None:
    """Print the one line that opens a server on loopback to the LAN."""
    console.print()
    console.print("Only this machine can call it. To open it to the LAN, start it as:")
    console.print(
        "  RINGBACK_SIP__BIND=0.0.0.0 RINGBACK_MEDIA__BIND=0.0.0.0 RINGBACK_WEB__BIND=0.0.0.0 "
        f"ringback serve   [dim]# this machine is {address}[/dim]",
        soft_wrap=True,
        highlight=False,
    )


def show_first_start(console: Console, rows: Mapping[str, str]) -> None:
    """Print what the first start created; it is shown this once."""
    console.print()
    console.print("[bold]First start: this is shown once.[/bold]")
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(f"  {name}", value)
    console.print(table)
