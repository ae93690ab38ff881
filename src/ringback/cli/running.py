"""The running server, asked over its control socket."""

from __future__ import annotations

import http.client
import json
import shlex
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

from ringback.cli.errors import UNREACHABLE, CliError
from ringback.cli.system import Json, delete
from ringback.config import Settings, default_data_dir
from ringback.governance.private import Private
from ringback.web import control_socket

TIMEOUT_S = 15.0
# Files of thousands of people or values.
_LONG_S = 120.0
# A stream that tells nothing says that it is there every 15 s.
_SILENCE_S = 40.0
_PIECE_BYTES = 65_536
_GONE = "the server went away; look at its log, then try again"


class _Connection(http.client.HTTPConnection):
    def __init__(self, open_socket: socket.socket) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.sock = open_socket


def connect(settings: Settings) -> RunningSystem | None:
    """The server of this data folder, None if none runs; raises CliError if it cannot be asked."""
    try:
        return RunningSystem(control_socket.connect(settings.control_socket, TIMEOUT_S))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return None
    except PermissionError:
        raise CliError(
            f"{settings.data_dir} belongs to somebody else; run this as its owner", UNREACHABLE
        ) from None
    except OSError as error:
        raise CliError(f"the server does not answer: {error.strerror or error}", UNREACHABLE) from None


def serve_command(settings: Settings) -> str:
    """How to start the server of this data folder."""
    usual = settings.data_dir == default_data_dir()
    return "ringback serve" if usual else f"ringback serve --data-dir {shlex.quote(str(settings.data_dir))}"


def require(settings: Settings) -> RunningSystem:
    """The server of this data folder; raises CliError if none runs."""
    running = connect(settings)
    if running is None:
        raise CliError(
            f"no server runs on {settings.data_dir}; start it: {serve_command(settings)}", UNREACHABLE
        )
    return running


class RunningSystem:
    """Implements `System`, and what only a running server can do, by the API."""

    def __init__(self, open_socket: socket.socket) -> None:
        self._connection = _Connection(open_socket)

    def __enter__(self) -> RunningSystem:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _call(self, method: str, path: str, body: Json | None = None) -> Any:
        return self.ask(method, path, body)

    def ask(
        self,
        method: str,
        path: str,
        body: Json | str | None = None,
        *,
        revision: int | None = None,
        reason: str = "",
    ) -> Any:
        """What the API answers below /api/v1; raises CliError for a problem.

        `reason` is written down with what is done.
        """
        content, headers = encoded(body, revision)
        if reason:
            headers["X-Reason"] = quote(reason)
        try:
            self._connection.request(method, f"/api/v1{path}", content, headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            raise CliError(_GONE, UNREACHABLE) from None
        return decoded(answer.status, answer.headers.get_content_type(), text)

    def audio(self, path: str, reason: str) -> Iterator[bytes]:
        """A stored voice as WAV, piece by piece."""
        try:
            self._connection.request("GET", f"/api/v1{path}", headers={"X-Reason": quote(reason)})
            answer = self._connection.getresponse()
            if answer.status >= 400:
                _raise_problem(answer.status, json.loads(answer.read()))
            while piece := answer.read(_PIECE_BYTES):
                yield piece
        except (OSError, http.client.HTTPException):
            raise CliError(_GONE, UNREACHABLE) from None

    def add_extension(
        self, number: str, display_name: str, password: Private[str] | None, digest: str
    ) -> Json:
        """POST /extensions."""
        body: Json = {"number": number, "display_name": display_name, "digest": digest}
        if password is not None:
            body["password"] = password.reveal()
        return self._json(self._call("POST", "/extensions", body))

    def extensions(self) -> list[Json]:
        """GET /extensions."""
        return self._list(self._call("GET", "/extensions"))

    def set_password(self, number: str, password: Private[str] | None) -> Json:
        """POST /extensions/{number}/password."""
        body = {"password": password.reveal() if password is not None else None}
        return self._json(self._call("POST", f"/extensions/{quote(number, safe='')}/password", body))

    def change_extension(self, number: str, given: Json) -> Json:
        """PATCH /extensions/{number}."""
        return self._json(self._call("PATCH", f"/extensions/{quote(number, safe='')}", given))

    def remove_extension(self, number: str, for_good: bool) -> int | None:
        """DELETE /extensions/{number}."""
        return delete(self, f"/extensions/{quote(number, safe='')}", "extension", number, for_good)

    def add_meeting(self, name: str, admission: str) -> Json:
        """POST /meetings."""
        return self._json(self._call("POST", "/meetings", {"name": name, "admission": admission}))

    def meetings(self) -> list[Json]:
        """GET /meetings."""
        return self._list(self._call("GET", "/meetings"))

    def meeting(self, number: str) -> Json:
        """GET /meetings/{number}."""
        return self._json(self._call("GET", _meeting(number)))

    def rotate_pin(self, number: str, which: str) -> Json:
        """POST /meetings/{number}/rotate-pin."""
        return self._json(self._call("POST", f"{_meeting(number)}/rotate-pin", {"which": which}))

    def change_meeting(self, number: str, given: Json) -> Json:
        """PATCH /meetings/{number}."""
        return self._json(self._call("PATCH", _meeting(number), given))

    def remove_meeting(self, number: str, for_good: bool) -> int | None:
        """DELETE /meetings/{number}."""
        return delete(self, _meeting(number), "meeting", self.meeting(number)["id"], for_good)

    def add_trunk(self, given: Json) -> Json:
        """POST /trunks."""
        return self._json(self._call("POST", "/trunks", given))

    def trunks(self) -> list[Json]:
        """GET /trunks."""
        return self._list(self._call("GET", "/trunks"))

    def trunk(self, name: str) -> Json:
        """GET /trunks/{name}."""
        return self._json(self._call("GET", _trunk(name)))

    def change_trunk(self, name: str, given: Json) -> Json:
        """PATCH /trunks/{name}."""
        return self._json(self._call("PATCH", _trunk(name), given))

    def remove_trunk(self, name: str, for_good: bool) -> int | None:
        """DELETE /trunks/{name}."""
        return delete(self, _trunk(name), "trunk", name, for_good)

    def simulate(self, asked: Json) -> Json:
        """POST /route/simulate."""
        return self._json(self._call("POST", "/route/simulate", asked))

    def call_records(self, asked: Json) -> Json:
        """POST /call-records/search."""
        return self._json(self._call("POST", "/call-records/search", asked))

    def call_record(self, call: str) -> Json:
        """GET /call-records/{id}."""
        return self._json(self._call("GET", f"/call-records/{quote(call, safe='')}"))

    def add_token(self, role: str, name: str, valid_days: int | None) -> Json:
        """POST /tokens."""
        return self._json(
            self._call("POST", "/tokens", {"role": role, "name": name, "valid_days": valid_days})
        )

    def tokens(self) -> list[Json]:
        """GET /tokens."""
        return self._list(self._call("GET", "/tokens"))

    def revoke_token(self, token_id: str) -> None:
        """DELETE /tokens/{id}."""
        self._call("DELETE", f"/tokens/{quote(token_id, safe='')}")

    def setup_link(self, name: str) -> Json:
        """POST /administrators/link."""
        return self._json(self._call("POST", "/administrators/link", {"name": name}))

    # What only a running server can do

    def status(self) -> Json:
        """GET /status."""
        return self._json(self._call("GET", "/status"))

    def queues(self) -> list[Json]:
        """GET /queues."""
        return self._list(self._call("GET", "/queues"))

    def bans(self) -> list[Json]:
        """GET /bans."""
        return self._list(self._call("GET", "/bans"))

    def ban(self, source: str, minutes: float) -> Json:
        """POST /bans."""
        return self._json(self._call("POST", "/bans", {"source": source, "minutes": minutes}))

    def lift(self, source: str) -> None:
        """DELETE /bans/{source}."""
        self._call("DELETE", f"/bans/{quote(source, safe='')}")

    def check_trunk(self, name: str) -> Json:
        """POST /trunks/{name}/test."""
        return self._json(self._call("POST", f"{_trunk(name)}/test"))

    def tolls(self) -> list[Json]:
        """GET /tolls."""
        return self._list(self._call("GET", "/tolls"))

    def reset_tolls(self, account: str | None) -> None:
        """DELETE /tolls, or /tolls/{account}."""
        self._call("DELETE", "/tolls" if account is None else f"/tolls/{quote(account, safe='')}")

    def mailboxes(self) -> list[Json]:
        """GET /voicemail."""
        return self._list(self._call("GET", "/voicemail"))

    def mailbox(self, number: str) -> Json:
        """GET /voicemail/{extension}."""
        return self._json(self._call("GET", f"/voicemail/{quote(number, safe='')}"))

    def reset_mailbox_pin(self, number: str) -> None:
        """DELETE /voicemail/{extension}/pin."""
        self._call("DELETE", f"/voicemail/{quote(number, safe='')}/pin")

    def participants(self, number: str) -> list[Json]:
        """GET /meetings/{number}/participants."""
        return self._list(self._call("GET", f"{_meeting(number)}/participants"))

    def act(self, act: str, number: str, participant: str | None) -> Json:
        """POST /meetings/{number}/participants/{act}, for one or (None) all."""
        whom: Json = {"all": True} if participant is None else {"id": participant}
        return self._json(self._call("POST", f"{_meeting(number)}/participants/{act}", whom))

    def lock(self, number: str, locked: bool) -> Json:
        """PUT /meetings/{number}/lock."""
        return self._json(self._call("PUT", f"{_meeting(number)}/lock", {"locked": locked}))

    def trace(
        self, query: Mapping[str, str], number: Private[str] | None, seconds: float | None
    ) -> Iterator[tuple[str, Json]]:
        """GET /sip/trace: kinds ("connected" first) and data, until it ends or the seconds are over."""
        ends_at = None if seconds is None else time.monotonic() + seconds
        sock = self._connection.sock
        headers = {"X-Number": number.reveal()} if number is not None else {}
        try:
            self._connection.request("GET", f"/api/v1/sip/trace?{urlencode(query)}", headers=headers)
            answer = self._connection.getresponse()
            if answer.status >= 400:
                _raise_problem(answer.status, json.loads(answer.read()))
            kind = ""
            while True:
                left_s = _SILENCE_S if ends_at is None else min(_SILENCE_S, ends_at - time.monotonic())
                if left_s <= 0:
                    return
                sock.settimeout(left_s)
                line = answer.readline()
                if not line:
                    return
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if (name, value) == ("", "connected"):
                    yield "connected", {}
                elif name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)
        except TimeoutError:
            if ends_at is None or time.monotonic() < ends_at:
                raise CliError("the server does not answer any more", UNREACHABLE) from None
        except (OSError, http.client.HTTPException):
            raise CliError(_GONE, UNREACHABLE) from None

    @staticmethod
    def _json(answer: Any) -> Json:
        if not isinstance(answer, dict):
            raise CliError("the server's answer is not understood; is it another version?")
        return answer

    @staticmethod
    def _list(answer: Any) -> list[Json]:
        if not isinstance(answer, list):
            raise CliError("the server's answer is not understood; is it another version?")
        return answer


def encoded(body: Json | str | None, revision: int | None) -> tuple[bytes | None, dict[str, str]]:
    """A request's body and headers: JSON, or a text as it is."""
    headers = {} if revision is None else {"If-Match": str(revision)}
    if body is None:
        return None, headers
    if isinstance(body, str):
        return body.encode(), {**headers, "Content-Type": "text/plain; charset=utf-8"}
    return json.dumps(body).encode(), {**headers, "Content-Type": "application/json"}


def decoded(status: int, content_type: str, text: bytes) -> Any:
    """An answer's JSON or text; raises CliError for a problem."""
    is_json = content_type.endswith("json")
    result = (json.loads(text) if is_json else text.decode()) if text else None
    if status >= 400:
        _raise_problem(status, result)
    return result


def _raise_problem(status: int, problem: Any) -> NoReturn:
    detail = problem.get("detail") if isinstance(problem, dict) else None
    raise CliError(str(detail or f"the server answered {status}"), status=status)


def _trunk(name: str) -> str:
    return f"/trunks/{quote(name, safe='')}"


def _meeting(number: str) -> str:
    return f"/meetings/{quote(number, safe='')}"
