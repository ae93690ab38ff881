"""/provisioning: the files that set desk phones up, for the phone's own username and password (RFC 7617)."""

from __future__ import annotations

from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from ringback.governance.private import Private
from ringback.store.devices import is_password
from ringback.web.context import Context, source_of
from ringback.web.problems import ProblemError
from ringback.web.provisioning import ProvisioningError

PATH: Final = "/provisioning"

router = APIRouter(prefix=PATH, tags=["devices"], include_in_schema=False)
basic = HTTPBasic(auto_error=False, description="The username and the password of the phone.")

_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="ringback", charset="UTF-8"'}
_log = structlog.get_logger("ringback.web")


@router.get("/{name}", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_file(
    name: str,
    request: Request,
    context: Context,
    credentials: Annotated[HTTPBasicCredentials | None, Depends(basic)],
) -> Response:
    """A file of the phone that logs in.

    The password comes with the request (Basic), so that the file can hold it while only digests of it are
    kept. Plain HTTP is served on loopback alone.
    """
    source = source_of(request)
    context.refuse_if_banned(request)
    if credentials is None:
        raise ProblemError(401, "a phone logs in with its username and password", _CHALLENGE)
    password = Private(credentials.password)
    device = context.store.directory.devices.get(credentials.username)
    right = device is not None and is_password(device, password)
    if device is None or not right or not device.enabled:
        context.note_failure(request)
        _log.warning("provisioning refused", source=source)
        raise ProblemError(401, "this username or password is wrong", _CHALLENGE)
    if context.provisioning is None:
        raise ProblemError(503, "phones are not provisioned here")
    try:
        content = context.provisioning.files(device, password).get(name.lower())
    except ProvisioningError as error:
        raise ProblemError(404, str(error)) from None
    _log.info("provisioning", device=device.id, source=source, found=content is not None)
    if content is None:
        raise ProblemError(404, "this phone has no such file")
    kind = "application/xml" if content.startswith("<?xml") else "text/plain"
    return Response(content, media_type=f"{kind}; charset=utf-8", headers={"Cache-Control": "no-store"})
