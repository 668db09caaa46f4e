"""The form of a state as Terraform writes it, looked at whole without making objects of all that is in it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Part(BaseModel):
    # What checks it is built when a state is first read, not at the start of every command.
    model_config = ConfigDict(strict=True, extra="ignore", defer_build=True)


class _Attributes(_Part):
    """An object, whatever is in it."""


class _Instance(_Part):
    # Either may be missing; null is no object.
    attributes: _Attributes = None  # type: ignore[assignment]
    attributes_flat: _Attributes = None  # type: ignore[assignment]
    deposed: object = None


class _Resource(_Part):
    mode: str
    type: str
    name: str
    module: str = ""
    instances: list[_Instance]


class _Output(_Part):
    value: object


class Form(_Part):
    """What a state of format version 4 says, without the attributes of its resources."""

    version: Literal[4] = 4
    serial: int = Field(ge=0)
    lineage: str = Field(min_length=1)
    terraform_version: str = "unknown"
    resources: list[_Resource] = Field(default_factory=list)
    outputs: dict[str, _Output] = Field(default_factory=dict)

    @property
    def managed(self) -> int:
        """How many instances of managed resources there are, without those that only wait to be destroyed."""
        return sum(
            "deposed" not in instance.model_fields_set
            for resource in self.resources
            if resource.mode == "managed"
            for instance in resource.instances
        )


def form(body: bytes) -> Form | None:
    """Return the form of a state; None for what has another one, of which only a slower look tells what it is.

    Every byte is parsed. What pydantic's parser takes json takes too, and understands alike: of a key that is there twice
    the last counts, and a whole number may have 4,300 digits. Nesting it takes to 200 levels, and no lone surrogates.
    """
    try:
        return Form.model_validate_json(body)
    except ValidationError:
        return None
