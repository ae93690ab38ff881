"""`ringback status`: how the running server is doing."""

from __future__ import annotations

import typer

from ringback.cli.output import print_facts
from ringback.cli.verbs import Options, verb


def add_to(app: typer.Typer) -> None:
    """Make it a verb of the application."""
    verb(app, "status")(status)


def status(options: Options) -> None:
    """Show how the running server is doing."""
    with options.server() as server:
        found = server.status()
    options.show(found, lambda: _print(found))


def _print(found: dict[str, object]) -> None:
    waiting_for = found["waiting_for"]
    pids, addresses, media = found["pids"], found["addresses"], found["media"]
    facts = {"State": "ready for calls", "Version": found["version"]}
    if isinstance(waiting_for, list) and waiting_for:
        facts["State"] = "waiting for " + ", ".join(map(str, waiting_for))
    uptime_s = found["uptime_s"]
    if isinstance(uptime_s, int | float):
        facts["Running for"] = _duration(int(uptime_s))
    if isinstance(pids, dict):
        facts["Processes"] = f"control {pids['control']}, media {' '.join(map(str, pids['media'])) or 'none'}"
    if isinstance(media, list):
        facts.update(
            {
                f"Media {number}": f"{worker['legs']} legs, {100 * worker['busy_fraction']:.0f} % busy"
                for number, worker in enumerate(media)
            }
        )
    if found["takeovers"]:
        facts["Taken over"] = f"{found['takeovers']} legs after a media process had died"
    if isinstance(addresses, dict):
        facts.update({name.upper(): address for name, address in addresses.items()})
    facts.update({name.capitalize(): found[name] for name in ("calls", "legs", "meetings", "registrations")})
    trunks = found["trunks"]
    if isinstance(trunks, list):
        for trunk in trunks:
            word = {True: "up", False: "down", None: "asking"}[trunk["up"]]
            facts[f"Trunk {trunk['name']}"] = f"{word}: {trunk['reason']}" if trunk["reason"] else word
    print_facts(facts)


def _duration(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"
