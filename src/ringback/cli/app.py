"""The command line's verbs, put together."""

from __future__ import annotations

import typer

from ringback.cli import (
    admin,
    backup,
    ban,
    calls,
    certificate,
    config,
    device,
    diagnose,
    extension,
    history,
    login,
    meeting,
    person,
    plan,
    queue,
    recording,
    route,
    serve,
    sip,
    status,
    token,
    trunk,
    voicemail,
)
from ringback.cli.verbs import AsJson, Config, DataDir, Options
from ringback.cli.version import add_to as add_version

app = typer.Typer(
    help="A self-hosted voice system: phones meet in calls and conferences.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def shared(
    context: typer.Context, data_dir: DataDir = None, config_file: Config = None, json: AsJson = False
) -> None:
    """A self-hosted voice system: phones meet in calls and conferences."""
    context.obj = Options(data_dir, config_file, json)


serve.add_to(app)
status.add_to(app)
diagnose.add_to(app)
history.add_to(app)
app.add_typer(meeting.app, name="meeting")
app.add_typer(extension.app, name="extension")
app.add_typer(person.app, name="person")
app.add_typer(device.app, name="device")
app.add_typer(login.app, name="login")
app.add_typer(plan.app, name="plan")
app.add_typer(queue.app, name="queue")
app.add_typer(calls.app, name="calls")
app.add_typer(ban.app, name="ban")
app.add_typer(sip.app, name="sip")
app.add_typer(trunk.app, name="trunk")
app.add_typer(route.app, name="route")
app.add_typer(voicemail.app, name="voicemail")
app.add_typer(recording.app, name="recording")
app.add_typer(backup.app, name="backup")
app.add_typer(token.app, name="token")
app.add_typer(admin.app, name="admin")
app.add_typer(certificate.app, name="certificate")
app.add_typer(config.app, name="config")
add_version(app)
