"""`ringback extension`: the numbers that devices register to."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from ringback.cli.deleting import ForGood, say_gone
from ringback.cli.output import print_facts, print_table
from ringback.cli.verbs import Options, verb
from ringback.governance.private import Private

app = typer.Typer(help="Numbers that phones register to.", no_args_is_help=True, rich_markup_mode=None)

Number = Annotated[str, typer.Argument(help="2 to 6 digits.", show_default=False)]
PasswordStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input; otherwise one is made."),
]

Digest = Annotated[
    Literal["md5", "sha-256", "both"],
    typer.Option("--digest", help="What its phones log in with (RFC 8760); many know md5 only."),
]


def _read_password(from_stdin: bool) -> Private[str] | None:
    return Private(sys.stdin.readline().rstrip("\r\n")) if from_stdin else None


@verb(app, "add")
def add(
    options: Options,
    number: Number,
    name: Annotated[str, typer.Option("--name", help="Name shown to others.")] = "",
    password_stdin: PasswordStdin = False,
    digest: Digest = "md5",
) -> None:
    """Add an extension; the password is shown this once."""
    password = _read_password(password_stdin)
    with options.system(creates=True) as system:
        made = system.add_extension(number, name, password, digest)
    options.show(made, lambda: _print_login(made))


@verb(app, "list")
def list_all(options: Options) -> None:
    """List all extensions."""
    with options.system() as system:
        extensions = system.extensions()
    columns = {"NUMBER": "number", "NAME": "display_name", "ENABLED": "enabled", "ADDRESS": "sip_address"}
    options.show(extensions, lambda: print_table(extensions, columns, "There are no extensions."))


@verb(app, "password")
def password(options: Options, number: Number, password_stdin: PasswordStdin = False) -> None:
    """Give an extension a new password; its phones need it from then on."""
    chosen = _read_password(password_stdin)
    with options.system() as system:
        changed = system.set_password(number, chosen)
    options.show(changed, lambda: _print_login(changed))


@verb(app, "set")
def change(
    options: Options,
    number: Number,
    name: Annotated[str | None, typer.Option("--name", help="Name shown to others.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Use it or not.")] = None,
    digest: Digest | None = None,
) -> None:
    """Change what is given of an extension; its phones need no new password."""
    words = {"display_name": name, "enabled": enabled, "digest": digest}
    given = {field: word for field, word in words.items() if word is not None}
    if not given:
        raise typer.BadParameter("say what to change: --name, --enabled or --disabled, --digest")
    with options.system() as system:
        changed = system.change_extension(number, given)
    options.show(changed, lambda: _print(changed))


@verb(app, "remove")
def remove(options: Options, number: Number, for_good: ForGood = False) -> None:
    """Delete an extension with its phones and its mailbox."""
    with options.system() as system:
        revision = system.remove_extension(number, for_good)
    say_gone(options, number, f"Extension {number}", revision)


def _print(extension: dict[str, str]) -> None:
    print_facts(
        {
            "Number": extension["number"],
            "Name": extension["display_name"],
            "Enabled": extension["enabled"],
            "Phones log in by": extension["digest"],
            "Address": extension["sip_address"],
        }
    )


def _print_login(extension: dict[str, str]) -> None:
    print_facts(
        {
            "Number": extension["number"],
            "Name": extension["display_name"],
            "Password": extension["password"],
            "Address": extension["sip_address"],
        }
    )
