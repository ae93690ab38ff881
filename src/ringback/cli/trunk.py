"""`ringback trunk`: ways to and from other telephone systems."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ringback.cli.deleting import ForGood, say_gone
from ringback.cli.errors import FAILED, CliError
from ringback.cli.output import print_facts, print_table
from ringback.cli.system import Json
from ringback.cli.verbs import Options, verb

app = typer.Typer(help="Ways to other telephone systems.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="Small letters, digits and dashes.", show_default=False)]
Port = Annotated[int | None, typer.Option("--port", help="The transport's usual one if left out.")]
Transport = Annotated[str | None, typer.Option("--transport", help="udp, tcp or tls.")]
Username = Annotated[str | None, typer.Option("--username", help="Our account there.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
Realm = Annotated[str | None, typer.Option("--realm", help="Only realm that the password is used for.")]
Register = Annotated[bool | None, typer.Option("--register/--no-register", help="Register there.")]
Expires = Annotated[int | None, typer.Option("--expires", help="Seconds that a registration lasts.")]
Inbound = Annotated[
    str | None, typer.Option("--inbound", help="Proof of calls from there: none, address, digest, both.")
]
Networks = Annotated[
    list[str] | None, typer.Option("--network", help="Where its calls come from; its host if left out.")
]
CallerId = Annotated[str | None, typer.Option("--caller-id", help="Number shown for all who call out.")]
Identity = Annotated[
    str | None, typer.Option("--identity", help="Where the caller goes: from, or asserted (RFC 3325).")
]
Codecs = Annotated[list[str] | None, typer.Option("--codec", help="Only codecs spoken there.")]
Prefixes = Annotated[
    list[str] | None, typer.Option("--prefix", help='Dialled numbers that go out here; "" is all.')
]
Strip = Annotated[int | None, typer.Option("--strip", help="Digits taken off dialled numbers.")]
Prepend = Annotated[str | None, typer.Option("--prepend", help="Digits put in front then.")]
Priority = Annotated[int | None, typer.Option("--priority", help="Lowest first, for the same prefix.")]
Dids = Annotated[
    list[str] | None,
    typer.Option("--did", help="Where a number leads: +15550100=101, or =group:sales."),
]
MaxCalls = Annotated[int | None, typer.Option("--max-calls", help="Calls at once, in and out.")]
Transit = Annotated[
    bool | None, typer.Option("--transit/--no-transit", help="Let its calls go out by a trunk again.")
]
Enabled = Annotated[bool | None, typer.Option("--enabled/--disabled", help="Use it or not.")]


@verb(app, "add")
def add(
    options: Options,
    name: Name,
    host: Annotated[str, typer.Argument(help="Its name or IP address.", show_default=False)],
    port: Port = None,
    transport: Transport = None,
    username: Username = None,
    password_stdin: PasswordStdin = False,
    realm: Realm = None,
    register: Register = None,
    expires: Expires = None,
    inbound: Inbound = None,
    network: Networks = None,
    caller_id: CallerId = None,
    identity: Identity = None,
    codec: Codecs = None,
    prefix: Prefixes = None,
    strip: Strip = None,
    prepend: Prepend = None,
    priority: Priority = None,
    did: Dids = None,
    max_calls: MaxCalls = None,
    transit: Transit = None,
    enabled: Enabled = None,
) -> None:
    """Add a trunk."""
    given = _given(locals())
    with options.system(creates=True) as system:
        made = system.add_trunk({"name": name, **given})
    options.show(made, lambda: _print(made))


@verb(app, "list")
def list_all(options: Options) -> None:
    """List all trunks, and whether they are up."""
    with options.system() as system:
        trunks = system.trunks()
    rows = [{**trunk, "state": _state(trunk)} for trunk in trunks]
    columns = {"NAME": "name", "HOST": "host", "PREFIXES": "prefixes", "CALLS": "calls", "STATE": "state"}
    options.show(trunks, lambda: print_table(rows, columns, "There are no trunks."))


@verb(app, "show")
def show(options: Options, name: Name) -> None:
    """Show a trunk."""
    with options.system() as system:
        trunk = system.trunk(name)
    options.show(trunk, lambda: _print(trunk))


@verb(app, "set")
def change(
    options: Options,
    name: Name,
    host: Annotated[str | None, typer.Option("--host", help="Its name or IP address.")] = None,
    port: Port = None,
    transport: Transport = None,
    username: Username = None,
    password_stdin: PasswordStdin = False,
    realm: Realm = None,
    register: Register = None,
    expires: Expires = None,
    inbound: Inbound = None,
    network: Networks = None,
    caller_id: CallerId = None,
    identity: Identity = None,
    codec: Codecs = None,
    prefix: Prefixes = None,
    strip: Strip = None,
    prepend: Prepend = None,
    priority: Priority = None,
    did: Dids = None,
    max_calls: MaxCalls = None,
    transit: Transit = None,
    enabled: Enabled = None,
) -> None:
    """Change what is given of a trunk; lists are replaced whole."""
    given = _given(locals())
    with options.system() as system:
        changed = system.change_trunk(name, given)
    options.show(changed, lambda: _print(changed))


@verb(app, "remove")
def remove(options: Options, name: Name, for_good: ForGood = False) -> None:
    """Delete a trunk."""
    with options.system() as system:
        revision = system.remove_trunk(name, for_good)
    say_gone(options, name, f"Trunk {name}", revision)


@verb(app, "test")
def test(options: Options, name: Name) -> None:
    """Ask a trunk's other side now; exits with 1 unless it is up."""
    with options.server() as server:
        trunk = server.check_trunk(name)
    options.show(trunk, lambda: print(f"{name}: {_state(trunk)}"))
    if not trunk["up"]:
        raise typer.Exit(FAILED)


@verb(app, "usage")
def usage(
    options: Options,
    reset: Annotated[
        str | None, typer.Option("--reset", help="Let an extension (or `all`) begin the day anew.")
    ] = None,
) -> None:
    """Show what was called by trunks today, and the caps."""
    with options.server() as server:
        if reset is not None:
            server.reset_tolls(None if reset == "all" else reset)
        counts = server.tolls()
    columns = {
        "WHO": "account",
        "CLASS": "call_class",
        "CALLS": "calls",
        "OF": "most_calls",
        "MINUTES": "minutes",
        "OF ": "most_minutes",
    }
    options.show(counts, lambda: print_table(counts, columns, "Nobody has called out today."))


_NAMES = {"expires": "expires_s", "network": "networks", "codec": "codecs", "prefix": "prefixes"}


def _given(arguments: dict[str, Any]) -> Json:
    """What was said on the command line, as the API names it."""
    words = {
        _NAMES.get(key, key): value
        for key, value in arguments.items()
        if value is not None and key not in {"options", "name", "password_stdin", "did"}
    }
    if arguments["did"] is not None:
        words["dids"] = dict(map(_did, arguments["did"]))
    if arguments["password_stdin"]:
        words["password"] = sys.stdin.readline().rstrip("\r\n")
    return words


def _did(text: str) -> tuple[str, str]:
    number, equals, destination = text.partition("=")
    if not equals:
        raise CliError(f"--did takes NUMBER=DESTINATION, as in +15550100=101, not {text}")
    return number.strip(), destination.strip()


def _state(trunk: Json) -> str:
    if not trunk["enabled"]:
        return "disabled"
    if trunk["calls"] is None:
        return "no server runs"
    word = {True: "up", False: "down", None: "asking"}[trunk["up"]]
    return f"{word}: {trunk['reason']}" if trunk["reason"] and trunk["up"] is False else word


def _print(trunk: Json) -> None:
    print_facts(
        {
            "Name": trunk["name"],
            "State": _state(trunk),
            "Since": trunk["since"],
            "Host": trunk["host"] if trunk["port"] is None else f"{trunk['host']} port {trunk['port']}",
            "Addresses": " ".join(trunk["targets"]),
            "Transport": trunk["transport"],
            "Account": trunk["username"],
            "Password": "set" if trunk["has_password"] else None,
            "Realm": trunk["realm"],
            "Registers": trunk["register"],
            "Calls from there": trunk["inbound"],
            "Networks": " ".join(trunk["networks"]),
            "Caller ID": trunk["caller_id"],
            "Codecs": " ".join(trunk["codecs"]),
            "Prefixes": ", ".join(prefix or "all" for prefix in trunk["prefixes"]),
            "Stripped": trunk["strip"] or None,
            "Prepended": trunk["prepend"],
            "Priority": trunk["priority"],
            "Numbers": ", ".join(f"{did} to {number}" for did, number in trunk["dids"].items()),
            "Calls at once": trunk["max_calls"],
            "Transit": trunk["transit"],
        }
    )
