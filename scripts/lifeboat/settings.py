"""What is wrong with a setting, in words that tell what to write instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import AfterValidator, ValidationError

# Pydantic's kinds of mistake (docs.pydantic.dev/latest/errors/validation_errors) that its own words name by its own terms.
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is no setting that is known here",
    "bool_type": "write true or false, without quotes",
    "int_type": "write a whole number, without quotes",
    "int_from_float": "write a whole number",
    "float_type": "write a number, without quotes",
    "string_type": "write a text in quotes",
    "list_type": "write a list in brackets",
    "tuple_type": "write a list in brackets",
    "dict_type": "write a table",
    "model_type": "write a table",
    "greater_than": "write more than {gt}",
    "greater_than_equal": "write {ge} or more",
    "less_than_equal": "write {le} or less",
    "string_too_short": "write at least {min_length} character",
    "string_too_long": "write at most {max_length} characters",
    "literal_error": "write one of: {expected}",
    "enum": "write one of: {expected}",
}


def form(pattern: str, wanted: str) -> AfterValidator:
    """Return what makes sure that a text has a form; `wanted` is said of one that has not."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(wanted)
        return text

    return AfterValidator(check)


def mistakes(error: ValidationError) -> list[str]:
    """Return a line for each mistake: which setting, and what to write there; never what stands there, which may be secret."""
    found = error.errors(include_url=False, include_input=False)
    return [f"  {'.'.join(str(p) for p in m['loc']) or '(file)'}: {_said(m)}" for m in found]


def _said(mistake: Mapping[str, Any]) -> str:
    if mistake["type"] == "value_error":
        return str(mistake["ctx"]["error"])
    words = _WORDS.get(mistake["type"])
    return str(mistake["msg"]) if words is None else words.format_map(mistake.get("ctx", {}))
