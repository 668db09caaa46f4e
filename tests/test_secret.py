"""A secret shows itself nowhere."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from dataclasses import asdict, dataclass

import pytest
from lifeboat.model import Secret

TEXT = "canary-0123"


@dataclass(frozen=True)
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "shown",
    [
        repr,
        str,
        "{}".format,
        "{!r}".format,
        "%s".__mod__,
        lambda s: f"{s:>20}",
        lambda s: repr([s]),
        lambda s: str({s: s}),
    ],
)
def test_however_it_is_printed_it_is_hidden(shown: object) -> None:
    assert TEXT not in shown(Secret(TEXT))  # type: ignore[operator]


def test_it_is_hidden_in_what_holds_it_and_in_an_exception() -> None:
    holder = Holder(Secret(TEXT))
    try:
        raise ValueError(holder, holder.secret)
    except ValueError as error:
        shown = "".join(traceback.format_exception(error))

    assert TEXT not in f"{holder} {holder!r} {asdict(holder)} {json.dumps(asdict(holder), default=str)} {shown}"


def test_it_is_written_into_no_file() -> None:
    with pytest.raises(TypeError, match="not written down"):
        pickle.dumps(Secret(TEXT))
    with pytest.raises(TypeError):
        json.dumps(Secret(TEXT))


def test_it_can_be_compared_and_counted_and_revealed() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert len({Secret(TEXT), Secret(TEXT)}) == 1
    assert (len(Secret(TEXT)), bool(Secret("")), Secret(TEXT).reveal()) == (11, False, TEXT)


def test_a_copy_of_what_holds_it_holds_it_too() -> None:
    assert copy.deepcopy(Holder(Secret(TEXT))).secret.reveal() == TEXT
