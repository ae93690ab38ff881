"""Phone files joined to the rest: which server, which ports, whose lamps, where voicemail is heard."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ringback.config import Settings
from ringback.governance.private import Private
from ringback.provisioning.phone import Phone, Server, lamps
from ringback.store.directory import Device, Directory
from ringback.web.links import reachable_host
from ringback.web.phone_files import PATH
from ringback.web.provisioning import ProvisioningError


class PhoneFiles:
    """Implements the web's `Provisioning`."""

    def __init__(
        self,
        settings: Settings,
        directory: Callable[[], Directory],
        web: Callable[[], str],
        ports: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        """`web` is how our pages' addresses begin, `ports` has where SIP is bound if not as it is set."""
        self._settings = settings
        self._directory = directory
        self._web = web
        self._ports = ports

    def files(self, device: Device, password: Private[str]) -> Mapping[str, str]:
        """The files by name; raises ProvisioningError."""
        # Not loaded by those who have no such phones.
        from ringback.provisioning.templates import TemplatesError, phone_files  # noqa: PLC0415

        try:
            return phone_files(self._phone(device, password), self._settings.provisioning.templates)
        except TemplatesError as error:
            raise ProvisioningError(str(error)) from None

    def _phone(self, device: Device, password: Private[str]) -> Phone:
        settings, directory = self._settings, self._directory()
        extension = directory.extension(device.extension)
        codes = settings.routing.feature_codes
        web = self._web()
        own_authority = settings.web.certificate is None and settings.web.secure
        return Phone(
            name=device.name,
            extension=device.extension,
            label=(extension.display_name if extension is not None else "") or device.extension,
            username=device.username,
            password=password.reveal(),
            mac=device.mac,
            model=device.model,
            servers=self._servers(),
            keys=lamps(device, directory, settings.provisioning.lamps),
            voicemail=codes.get("voicemail", ""),
            pickup=codes.get("directed-pickup", ""),
            url=web + PATH,
            authority_url=f"{web}/ca.pem" if own_authority else "",
            shared=device.shared,
        )

    def _servers(self) -> tuple[Server, ...]:
        settings, sip = self._settings.provisioning, self._settings.sip
        ports = {"udp": sip.udp_port, "tcp": sip.tcp_port, "tls": sip.tls_port}
        if self._ports is not None:
            ports |= self._ports()
        port = ports[settings.transport]
        first = settings.server or sip.domain or reachable_host(sip.bind[0])
        hosts = (first, settings.second_server) if settings.second_server else (first,)
        return tuple(Server(host, port, settings.transport) for host in hosts)
