"""The shapes of trunks in the API, for HTTP and for the command line alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from ringback.store.directory import Trunk
from ringback.store.trunks import DETAILS
from ringback.web.operations import TollUsage, TrunkLine
from ringback.web.shapes import Body, View

Transport = Literal["udp", "tcp", "tls"]
Inbound = Literal["none", "address", "digest", "both"]
Shown = Literal["from", "asserted"]


class TrunkChange(Body):
    """What is left out stays as it is."""

    host: str | None = Field(None, description="Name or IP address of the other side.")
    port: int | None = Field(None, description="Null: the usual one of the transport.")
    transport: Transport | None = None
    username: str | None = None
    password: str | None = Field(None, description="Never shown again; empty takes it away.")
    realm: str | None = Field(None, description="The only realm that gets digests of the password.")
    register_: bool | None = Field(None, alias="register", description="Whether we register there.")
    expires_s: int | None = Field(None, description="For how long a registration is asked for.")
    inbound: Inbound | None = Field(None, description="How calls from there prove themselves.")
    networks: list[str] | None = Field(None, description="Where its calls come from; empty: its host.")
    caller_id: str | None = Field(None, description="Number shown for all; empty: the caller's own.")
    identity: Shown | None = Field(None, description="Where the caller goes: From, or P-Asserted-Identity.")
    codecs: list[str] | None = Field(None, description="The only ones spoken there; empty: all of ours.")
    prefixes: list[str] | None = Field(None, description='Dialled numbers that go out here; "" is all.')
    strip: int | None = Field(None, description="Digits taken off the front of dialled numbers.")
    prepend: str | None = Field(None, description="Digits put in front of them then.")
    priority: int | None = Field(None, description="Of trunks with the same prefix the lowest is first.")
    dids: dict[str, str] | None = Field(
        None, description="Where numbers called from outside lead.", examples=[{"+15550100": "101"}]
    )
    max_calls: int | None = Field(None, description="Calls at once, in and out.")
    transit: bool | None = Field(None, description="Whether its calls may go out by a trunk again.")
    enabled: bool | None = None

    def details(self) -> dict[str, Any]:
        """What was given, without the password."""
        given = self.model_dump(exclude_unset=True, by_alias=True, exclude={"name", "password"})
        # Only a port can be none.
        return {key: value for key, value in given.items() if value is not None or key == "port"}


class NewTrunk(TrunkChange):
    """A trunk to be added; it needs a name and a host."""

    name: str = Field(description="Up to 32 small letters, digits and dashes.", examples=["carrier"])
    host: str = Field(examples=["sip.example.com"])


class TrunkView(View):
    """A trunk and how it is; `up` and what follows are null while no server runs."""

    name: str = Field(examples=["carrier"])
    host: str = Field(examples=["sip.example.com"])
    port: int | None
    transport: Transport
    username: str
    has_password: bool
    realm: str
    register_: bool = Field(serialization_alias="register")
    expires_s: int
    inbound: Inbound
    networks: list[str]
    caller_id: str
    identity: Shown
    codecs: list[str]
    prefixes: list[str]
    strip: int
    prepend: str
    priority: int
    dids: dict[str, str] = Field(examples=[{"+15550100": "101"}])
    max_calls: int
    transit: bool
    enabled: bool
    created_at: datetime
    up: bool | None = Field(None, description="Null until it is known.")
    reason: str | None = Field(None, examples=["wrong username or password (401)"])
    since: datetime | None = None
    calls: int | None = None
    targets: list[str] = Field([], description="Its addresses, in the order they are used.")

    @classmethod
    def of(cls, trunk: Trunk, line: TrunkLine | None = None) -> TrunkView:
        """A trunk without its password."""
        values = {name: getattr(trunk, name) for name in DETAILS if name != "register"}
        values["dids"] = dict(trunk.dids)
        state: dict[str, Any] = {}
        if line is not None:
            state = {name: getattr(line, name) for name in ("up", "reason", "since", "calls", "targets")}
        return cls(
            name=trunk.name,
            has_password=trunk.password is not None,
            register_=trunk.register,
            created_at=trunk.created_at,
            **values,
            **state,
        )


class TollUsageView(View):
    """What an account has called by trunks today in one class of numbers."""

    account: str = Field(examples=["101"], description="An extension, or trunk:NAME.")
    call_class: str = Field(examples=["international"])
    calls: int
    minutes: float
    most_calls: int | None = Field(description="Null: no cap.")
    most_minutes: int | None = Field(description="Null: no cap.")

    @classmethod
    def of(cls, usage: TollUsage) -> TollUsageView:
        """A count as JSON."""
        return cls.model_validate(usage)
