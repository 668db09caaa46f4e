"""The form of a state as Terraform writes it, looked at whole without making objects of all that is in it."""

from __future__ import annotations

import sys
from functools import cache
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

_DIGITS = b"0123456789"
_DIGITS_OF_A_NUMBER = sys.int_info.default_max_str_digits


class _Attributes(Struct, frozen=True, gc=False):
    """An object, whatever is in it."""


class _Instance(Struct, frozen=True, gc=False):
    # Any of them may be missing; null is no object.
    attributes: _Attributes | UnsetType = UNSET
    attributes_flat: _Attributes | UnsetType = UNSET
    deposed: Raw | UnsetType = UNSET


class _Resource(Struct, frozen=True, gc=False):
    mode: str
    type: str
    name: str
    instances: list[_Instance]
    module: str = ""


class _Output(Struct, frozen=True):
    value: object


class Form(Struct, frozen=True):
    """What a state of format version 4 says, without the attributes of its resources."""

    serial: Annotated[int, Meta(ge=0)]
    lineage: Annotated[str, Meta(min_length=1)]
    version: Literal[4] = 4
    terraform_version: str = "unknown"
    resources: list[_Resource] = []
    outputs: dict[str, _Output] = {}

    @property
    def managed(self) -> int:
        """How many instances of managed resources there are, without those that only wait to be destroyed."""
        return sum(
            instance.deposed is UNSET
            for resource in self.resources
            if resource.mode == "managed"
            for instance in resource.instances
        )


@cache
def _decoder() -> msgspec.json.Decoder[Form]:
    # Built when a state is first read, not at the start of every command.
    return msgspec.json.Decoder(Form)


def form(body: bytes) -> Form | None:
    """Return the form of a state; None for what has another one, of which only a slower look tells what it is.

    Every byte is parsed. What msgspec's parser takes json takes too, and understands alike: of a key that is there twice
    the last counts. What it leaves out it takes in any text and with numbers of any length; json does not, so this does not.
    """
    try:
        body.decode()
        if _has_long_number(body):
            return None
        return _decoder().decode(body)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None


def _has_long_number(body: bytes) -> bool:
    """Return whether there are more digits in a row than Python makes a number of."""
    # So long a row has one of the bytes that lie a row apart, and is looked for around those only.
    for at in range(_DIGITS_OF_A_NUMBER, len(body), _DIGITS_OF_A_NUMBER + 1):
        before, after = body[at - _DIGITS_OF_A_NUMBER : at], body[at : at + _DIGITS_OF_A_NUMBER + 1]
        row = len(before) - len(before.rstrip(_DIGITS)) + len(after) - len(after.lstrip(_DIGITS))
        if row > _DIGITS_OF_A_NUMBER and after[0] in _DIGITS:
            return True
    return False
