"""Where the values of GitLab's variables come from: the stack's output, files, secrets; all mistakes are told at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lifeboat.decisions import variables
from lifeboat.errors import IntegrityFailure
from lifeboat.gitlab_config import VariableMapping
from lifeboat.gitlab_model import VariableName, Wish
from lifeboat.model import Recovery, Secret
from lifeboat.site import Site
from lifeboat.stack import database_access


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The stack's output `recovery`, as we know it and as it is, with what a later module may have added."""

    recovery: Recovery
    document: Mapping[str, object]
    sensitive: bool


@dataclass(frozen=True, kw_only=True)
class Values:
    """What the environment's file asks for, with the values; with mistakes, nothing may be written."""

    wishes: tuple[tuple[Wish, Secret], ...]
    mistakes: tuple[str, ...]


def outputs(site: Site) -> Outputs:
    """Return the stack's output from its state; raises IntegrityFailure where there is none, or none that we know."""
    store = site.stack_store()
    body = store.body()
    if body is None:
        raise IntegrityFailure(
            f"there is no state s3://{store.bucket}/{store.key}", hint=f"lifeboat apply -e {site.project.env}"
        )
    try:
        output = json.loads(body)["outputs"]["recovery"]
        document = output["value"]
        recovery = Recovery.model_validate(document)
    except (KeyError, TypeError, ValueError) as error:  # a pydantic ValidationError is a ValueError
        raise IntegrityFailure(
            f"the stack's output is not what this lifeboat understands: {error}",
            hint=f"lifeboat apply -e {site.project.env}",
        ) from None
    return Outputs(recovery=recovery, document=document, sensitive=bool(output.get("sensitive", False)))


def values(site: Site, stack: Outputs) -> Values:
    """Return each variable that the environment's file asks for with its value, read now."""
    found: list[tuple[Wish, Secret]] = []
    mistakes: list[str] = []
    for mapping in site.gitlab_settings.variables:
        wish = _wish(site, mapping)
        if mapping.output is not None and stack.sensitive:
            wish = replace(wish, sensitive=True)
        value = _value(site, mapping, stack)
        if isinstance(value, Secret):
            found.append((wish, value))
        else:
            mistakes.append(f"{wish.name}: {value}")
    return Values(wishes=tuple(found), mistakes=tuple(mistakes))


def wishes(site: Site) -> list[Wish]:
    """Return what the environment's file asks for, without any value."""
    return [_wish(site, mapping) for mapping in site.gitlab_settings.variables]


def _wish(site: Site, mapping: VariableMapping) -> Wish:
    return Wish(
        name=VariableName(key=mapping.key, scope=mapping.scope or site.gitlab_environment),
        source=mapping.source,
        masked=mapping.masked,
        hidden=mapping.hidden,
        protected=None if mapping.protected == "leave" else mapping.protected,
        raw=mapping.raw,
        variable_type=mapping.type,
        description=mapping.description,
        pointer=mapping.pointer,
        sensitive=mapping.output is None and mapping.file is None,
    )


def _value(site: Site, mapping: VariableMapping, stack: Outputs) -> Secret | str:
    """Return the value, or why there is none. What a service refuses is raised: it is no mistake of the file."""
    if mapping.output is not None:
        return variables.rendered(stack.document, mapping.output)
    if mapping.file is not None:
        return _from_file(site, mapping)
    if mapping.composed is not None:
        return database_access.database_url(site, stack.recovery)
    return _from_secret(site, mapping, stack)


def _from_file(site: Site, mapping: VariableMapping) -> Secret | str:
    path = site.project.root / str(mapping.file)
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        return f"cannot read {path}: {error.strerror}"
    except UnicodeDecodeError:
        return f"{path} is not text"
    # An editor ends each file with a line break. A key file needs it, and a plain variable could not be masked with it.
    return Secret(text if mapping.type == "file" else text.removesuffix("\n").removesuffix("\r"))


def _from_secret(site: Site, mapping: VariableMapping, stack: Outputs) -> Secret | str:
    named = str(mapping.secret)
    if named.startswith("output:"):
        found = variables.rendered(stack.document, named.removeprefix("output:"))
        if not isinstance(found, Secret):
            return found
        named = found.reveal()
    store = site.secrets(stack.recovery.region)
    return store.text(named) if mapping.secret_key is None else store.entry(named, mapping.secret_key)
