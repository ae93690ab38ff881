"""/api/v1/session/second-factor: the code of an authenticator app (TOTP, RFC 6238) beside the password."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from ringback.governance import totp
from ringback.governance.private import Private
from ringback.governance.roles import Identity, Permission
from ringback.web.api import API, PROBLEMS
from ringback.web.api.logins import check_code, check_own_password
from ringback.web.context import Context, Needs, OwnSession
from ringback.web.shapes import Body, View

router = APIRouter(prefix=API, tags=["logins"], responses=PROBLEMS)

LoginsWriter = Annotated[Identity, Depends(Needs(Permission.LOGINS_WRITE))]


class Password(Body):
    """One's own, so that a page left open is not enough."""

    password: str = Field(max_length=1024)


class Code(Body):
    """What the app shows."""

    code: str = Field(max_length=40, examples=["123456"])


class PasswordAndCode(Password):
    """Both; a recovery code will do."""

    code: str = Field(max_length=40)


class SecretView(View):
    """What the app is given, shown this once."""

    secret: str = Field(description="Base32; SHA-1, 6 digits, 30 seconds, as apps take it.")
    uri: str = Field(examples=["otpauth://totp/Ringback:ada%40example.com?secret=…&issuer=Ringback"])


class RecoveryCodes(View):
    """Each lets one in once without the app; shown this once."""

    codes: list[str] = Field(examples=[["k7mqw-3xeab"]])


class SecondFactorView(View):
    """Whether there is one."""

    on: bool
    recovery_codes: int = Field(description="How many are good still.")


@router.get("/session/second-factor")
async def get_second_factor(context: Context, own: OwnSession) -> SecondFactorView:
    """Whether logging in needs a code."""
    _, login = own
    factors = context.store.second_factors
    on = factors.has(login.id)
    return SecondFactorView(on=on, recovery_codes=await factors.codes_left(login.id) if on else 0)


@router.post("/session/second-factor", status_code=201)
async def begin(body: Password, request: Request, context: Context, own: OwnSession) -> SecretView:
    """A secret for the app; nothing changes before its first code is shown."""
    _, login = own
    await check_own_password(login, body.password, request, context)
    secret = await context.store.second_factors.begin(login.id)
    return SecretView(secret=secret.reveal(), uri=totp.uri(secret, login.name).reveal())


@router.put("/session/second-factor")
async def confirm(body: Code, context: Context, own: OwnSession) -> RecoveryCodes:
    """Need the app's code from now on; other sessions end."""
    session, login = own
    codes = await context.store.second_factors.confirm(login.id, body.code, context.clock())
    for other in context.store.sessions.of(login.id):
        if other.id != session.id:
            await context.store.sessions.end(other.id, login.id)
    return _shown(codes)


@router.post("/session/second-factor/recovery-codes")
async def renew_codes(
    body: PasswordAndCode, request: Request, context: Context, own: OwnSession
) -> RecoveryCodes:
    """Other recovery codes; those before are good for nothing."""
    _, login = own
    await check_own_password(login, body.password, request, context)
    await check_code(login, body.code, request, context)
    return _shown(await context.store.second_factors.renew_codes(login.id))


@router.post("/session/second-factor/off", status_code=204, response_class=Response)
async def turn_off(body: PasswordAndCode, request: Request, context: Context, own: OwnSession) -> None:
    """Need the password alone from now on."""
    _, login = own
    await check_own_password(login, body.password, request, context)
    await check_code(login, body.code, request, context)
    await context.store.second_factors.remove(login.id)


@router.delete("/logins/{login_id}/second-factor", status_code=204, response_class=Response)
async def reset(login_id: str, context: Context, _viewer: LoginsWriter) -> None:
    """Let somebody in by the password alone who has lost app and recovery codes; all sessions end."""
    login = context.store.logins.need(login_id)
    await context.store.second_factors.remove(login.id)
    await context.store.sessions.end_all(login.id)


def _shown(codes: Sequence[Private[str]]) -> RecoveryCodes:
    return RecoveryCodes(codes=[code.reveal() for code in codes])
