"""What environments/<env>.toml asks of a restored copy: questions in SQL, and what their answers have to be."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lifeboat.database_model import Probe
from lifeboat.settings import form


def _as_answered(value: object) -> object:
    """Return a value as PostgreSQL writes it; a number may be written without quotes."""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int | float) and math.isfinite(value):
        return str(value)
    return value


def _exact(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("write a number, without quotes")
    return Decimal(str(value))


Number = Annotated[Decimal, BeforeValidator(_exact)]


class ProbeSettings(BaseModel):
    """One [[dumps.probes]]: SQL that gives one value, and one way to judge it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, form(r"\S(.{0,78}\S)?", "write a name of at most 80 characters")]
    sql: Annotated[str, Field(min_length=1)]
    expect: Annotated[str | None, BeforeValidator(_as_answered)] = None
    tolerance_percent: Annotated[Number, Field(ge=0)] | None = None
    minimum: Number | None = None
    maximum: Number | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ProbeSettings:
        bounded = self.minimum is not None or self.maximum is not None
        if (self.expect is None) == (not bounded):
            raise ValueError("write expect, or minimum, maximum or both")
        if self.tolerance_percent is not None:
            if self.expect is None:
                raise ValueError("tolerance_percent goes with expect")
            try:
                Decimal(self.expect)
            except ArithmeticError:
                raise ValueError("with tolerance_percent, expect must be a number") from None
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum is more than maximum")
        return self

    @property
    def noun(self) -> Probe:
        """Return it as verifications take it."""
        return Probe(**self.model_dump())
