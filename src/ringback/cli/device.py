"""`ringback device`: phones with accounts of their own, and the files that set them up."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import typer

from ringback.cli.deleting import ForGood, say_gone
from ringback.cli.errors import CliError
from ringback.cli.output import print_facts, print_table
from ringback.cli.system import Json, delete
from ringback.cli.verbs import Options, verb
from ringback.store.firmware import name_of

app = typer.Typer(help="Phones with accounts of their own.", no_args_is_help=True, rich_markup_mode=None)

Device = Annotated[str, typer.Argument(help="Name or id.", show_default=False)]
Model = Annotated[str | None, typer.Option("--model", help="Make and model, e.g. 'Yealink T46U'.")]
Mac = Annotated[str | None, typer.Option("--mac", help="Its MAC address.")]
Location = Annotated[str | None, typer.Option("--location", help="A location of the plan, for help.")]
Digest = Annotated[
    Literal["md5", "sha-256", "both"] | None,
    typer.Option("--digest", help="What it logs in with (RFC 8760); many know md5 only."),
]
Shared = Annotated[bool | None, typer.Option("--shared/--personal", help="Several people use it.")]
PasswordStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input; otherwise one is made."),
]

Search = Annotated[str, typer.Option("--search", help="Only those with this text.")]
OfFirmware = Annotated[
    Literal["as-wanted", "behind", "unknown"] | None,
    typer.Option("--firmware", help="Only those whose firmware is so (provisioning.firmware)."),
]

_PAGE = 10_000


@verb(app, "add")
def add(
    options: Options,
    name: Annotated[str, typer.Argument(help="As it is called here.", show_default=False)],
    extension: Annotated[str, typer.Argument(help="What it registers for.", show_default=False)],
    model: Model = None,
    mac: Mac = None,
    location: Location = None,
    digest: Digest = None,
    shared: Shared = None,
    password_stdin: PasswordStdin = False,
) -> None:
    """Add a phone; its username and password are shown this once."""
    given = _given(model=model, mac=mac, location=location, digest=digest, shared=shared)
    body = {"name": name, "extension": extension, **given, **_password(password_stdin)}
    with options.system(creates=True) as system:
        made = system.ask("POST", "/devices", body)
    options.show(made, lambda: _print(made))


@verb(app, "list")
def list_all(
    options: Options,
    search: Search = "",
    firmware: OfFirmware = None,
) -> None:
    """List phones by name, with their firmware and when they registered last."""
    devices: list[Json] = []
    with options.system() as system:
        after: str | None = ""
        while after is not None:
            asked = {**_filter(search, firmware), "after": after, "limit": _PAGE}
            page = system.ask("POST", "/devices/search", asked)
            devices += page["items"]
            after = page["next"]
    columns = {
        "NAME": "name",
        "EXTENSION": "extension",
        "USERNAME": "username",
        "MODEL": "model",
        "MAC": "mac",
        "FIRMWARE": "firmware",
        "STATE": "firmware_state",
        "SEEN": "seen",
        "ENABLED": "enabled",
    }
    rows = [{**each, "seen": (each["seen_at"] or "")[:16]} for each in devices]
    options.show(devices, lambda: print_table(rows, columns, "There are no devices."))


@verb(app, "export")
def export(
    options: Options,
    search: Search = "",
    firmware: OfFirmware = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file.")] = None,
) -> None:
    """Print the inventory of phones as CSV."""
    with options.system() as system:
        text = system.ask("POST", "/devices/export", _filter(search, firmware))
    if out is not None:
        try:
            out.write_text(text)
        except OSError as error:
            raise CliError(f"{out} cannot be written: {error.strerror}") from None
    shown: Json = {"csv": text} if out is None else {"written": str(out)}
    options.show(shown, lambda: print(text if out is None else f"{out} is written.\n", end=""))


@verb(app, "show")
def show(options: Options, device: Device) -> None:
    """Show a phone."""
    with options.system() as system:
        found = system.ask("GET", _path(device))
    options.show(found, lambda: _print(found))


@verb(app, "set")
def change(
    options: Options,
    device: Device,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    extension: Annotated[str | None, typer.Option("--extension", help="What it registers for.")] = None,
    model: Model = None,
    mac: Mac = None,
    location: Location = None,
    digest: Digest = None,
    shared: Shared = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Use it or not.")] = None,
) -> None:
    """Change what is given of a phone."""
    given = _given(
        name=name,
        extension=extension,
        model=model,
        mac=mac,
        location=location,
        digest=digest,
        shared=shared,
        enabled=enabled,
    )
    with options.system() as system:
        changed = system.ask("PATCH", _path(device), given)
    options.show(changed, lambda: _print(changed))


@verb(app, "password")
def password(options: Options, device: Device, password_stdin: PasswordStdin = False) -> None:
    """Give a phone a new password; it needs it from then on."""
    with options.system() as system:
        changed = system.ask("POST", f"{_path(device)}/password", _password(password_stdin))
    options.show(changed, lambda: _print(changed))


@verb(app, "remove")
def remove(options: Options, device: Device, for_good: ForGood = False) -> None:
    """Delete a phone; it can do nothing any more."""
    with options.system() as system:
        found = system.ask("GET", _path(device))
        revision = delete(system, _path(found["id"]), "device", found["id"], for_good)
    say_gone(options, device, device, revision)


@verb(app, "provision")
def provision(
    options: Options,
    device: Device,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files.")],
    password_stdin: PasswordStdin = False,
) -> None:
    """Give a phone a new password, and write the files that set it up with that."""
    with options.system() as system:
        answer = system.ask("POST", f"{_path(device)}/provision", _password(password_stdin))
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file in answer["files"]:
            path = out / Path(file["name"]).name
            # They hold the password.
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
                opened.write(file["content"])
            written.append(str(path))
    except OSError as error:
        raise CliError(f"{out} cannot be written: {error.strerror}") from None
    options.show({"written": written}, lambda: print("\n".join(written)))


firmware_verbs = typer.Typer(
    help="The firmware that phones should run, by model.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(firmware_verbs, name="firmware")

Words = Annotated[str, typer.Argument(help="Make and model, e.g. 'Yealink T46U'.", show_default=False)]


@verb(firmware_verbs, "list")
def list_firmware(options: Options) -> None:
    """List which firmware is wanted, and how many phones are behind."""
    with options.system() as system:
        found = system.ask("GET", "/devices/firmware")
    rows = [{**one, "by": "settings" if one["by_settings"] else "plan"} for one in found["wanted"]]
    columns = {
        "MODEL": "model",
        "WANTED": "version",
        "SAID BY": "by",
        "PHONES": "devices",
        "BEHIND": "behind",
    }
    options.show(found, lambda: print_table(rows, columns, "No firmware is wanted of any model."))


@verb(firmware_verbs, "set")
def set_firmware(
    options: Options,
    model: Words,
    version: Annotated[
        str, typer.Argument(help="As the phone says it, e.g. 108.86.0.70.", show_default=False)
    ],
) -> None:
    """Say which firmware phones of a model should run; `ringback undo` takes it back."""
    with options.system(creates=True) as system:
        made = system.ask("PUT", _firmware_path(model), {"title": model, "version": version})
    options.show(made, lambda: print(f"{model} should run {version}."))


@verb(firmware_verbs, "remove")
def remove_firmware(options: Options, model: Words) -> None:
    """Want none of a model any more; what the settings say of it counts again."""
    with options.system() as system:
        system.ask("DELETE", _firmware_path(model))
    options.show({"removed": model}, lambda: print(f"No firmware is said of {model} any more."))


def _firmware_path(model: str) -> str:
    name = name_of(model)
    if not name:
        raise CliError("a model has words, e.g. 'Yealink T46U'")
    return f"/plan/firmware/{name}"


def _filter(search: str, firmware: str | None) -> dict[str, str]:
    return {"search": search, **({"firmware": firmware} if firmware is not None else {})}


def _given(**words: object) -> Json:
    return {name: word for name, word in words.items() if word is not None}


def _password(from_stdin: bool) -> Json:
    return {"password": sys.stdin.readline().rstrip("\r\n")} if from_stdin else {}


def _path(device: str) -> str:
    return f"/devices/{quote(device, safe='')}"


def _print(device: Json) -> None:
    print_facts(
        {
            "Name": device["name"],
            "Extension": device["extension"],
            "Username": device["username"],
            "Password": device.get("password"),
            "Logs in by": device["digest"],
            "Model": device["model"],
            "MAC": device["mac"],
            "Location": device["location"],
            "Shared": device["shared"],
            "Enabled": device["enabled"],
            "Is": device["user_agent"],
            "Firmware": _firmware(device),
            "Seen": (device["seen_at"] or "")[:19] and f"{device['seen_at'][:19]}Z",
            "From": device["address"],
        }
    )


def _firmware(device: Json) -> str:
    seen, wanted = device["firmware"], device["wanted_firmware"]
    return f"{seen or 'not known'}, {wanted} is wanted" if wanted and device["seen_at"] else seen
