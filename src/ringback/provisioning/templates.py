"""Templates (Jinja) of phone files: those that an administrator put into a folder, then the built-in ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import SandboxedEnvironment

from ringback.provisioning.phone import Phone, family_of

BUILT_IN: Final = Path(__file__).parent / "templates"
_MAC: Final = "MAC"
_XML_FAMILY: Final = "polycom"


class TemplatesError(Exception):
    """A phone's files cannot be made; the message says why."""


def phone_files(phone: Phone, own_folder: Path | None = None) -> Mapping[str, str]:
    """The files of a phone by the names that it asks for; raises TemplatesError."""
    if not phone.mac:
        raise TemplatesError(
            f"the device {phone.name} has no MAC address, by which phones ask for their files"
        )
    family = family_of(phone.model)
    folders = tuple(str(folder / family) for folder in (own_folder, BUILT_IN) if folder is not None)
    environment = _environment(folders, family == _XML_FAMILY)
    names = environment.list_templates(filter_func=lambda name: _MAC in name) if family else []
    if not names:
        what = f"the model {phone.model!r}" if phone.model else f"the device {phone.name}, which has no model"
        raise TemplatesError(f"there are no templates for {what}; docs/provisioning.md says how to add some")
    return {name.replace(_MAC, phone.mac): _rendered(environment, name, phone) for name in names}


def _rendered(environment: SandboxedEnvironment, name: str, phone: Phone) -> str:
    try:
        return environment.get_template(name).render(phone=phone)
    except TemplateNotFound:
        raise TemplatesError(f"the template {name} is not there any more") from None
    except TemplateError as error:
        # What it was filled with is private; the kind of mistake and its line are not.
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        raise TemplatesError(f"the template {name} is wrong{where}: {type(error).__name__}") from None
    except Exception as error:
        raise TemplatesError(f"the template {name} cannot be filled: {type(error).__name__}") from None


@lru_cache(maxsize=16)
def _environment(folders: tuple[str, ...], xml: bool) -> SandboxedEnvironment:
    return SandboxedEnvironment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        # A name with & or " stays a name.
        autoescape=xml,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
