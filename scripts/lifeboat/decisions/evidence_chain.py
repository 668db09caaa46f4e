"""The chain of evidence: a bundle as the bytes of its link, those bytes read again, and what is wrong with all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lifeboat.evidence_model import NOTHING_BEFORE, Bundle, Chain, Document, Finding, Head, Stored, Wrong

_DOCUMENT: TypeAdapter[Document] = TypeAdapter(Document)


def linked(number: int, previous: str, bundle: Bundle) -> bytes:
    """Return the bytes of a link: its number, the SHA-256 of the bytes of the one before in hex, and the bundle."""
    document = Document(number=number, previous=previous, bundle=bundle)
    return (json.dumps(_DOCUMENT.dump_python(document, mode="json"), ensure_ascii=False, indent=1) + "\n").encode()


def digest(body: bytes) -> str:
    """Return the digest of stored bytes, as `sha256sum` prints it."""
    return hashlib.sha256(body).hexdigest()


def stored(number: int, body: bytes) -> Stored:
    """Return what lies under a number; what cannot be read is told in it as damage, with what its bytes still say."""
    sha256 = digest(body)
    try:
        found = _DOCUMENT.validate_json(body)
    except ValidationError as error:
        return Stored(
            number=number,
            sha256=sha256,
            previous=_previous(body),
            claims=number,
            run="",
            bundle=None,
            damaged=_damage(error),
        )
    return Stored(
        number=number,
        sha256=sha256,
        previous=found.previous,
        claims=found.number,
        run=found.bundle.run,
        bundle=found.bundle,
    )


def _damage(error: ValidationError) -> str:
    """Return in plain words what keeps bytes from being evidence."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return f"it is no JSON: {first['ctx']['error']}"
    where = f"{'.'.join(map(str, first['loc']))}: " if first["loc"] else ""
    return f"it is no evidence as this lifeboat writes it: {where}{first['msg'][:1].lower()}{first['msg'][1:]}"


def _previous(body: bytes) -> str:
    """Return what damaged bytes say of the one before, so that that one is not suspected for them; "" if nothing."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(found.get("previous", "")) if isinstance(found, dict) else ""


def schema() -> dict[str, Any]:
    """Return the JSON Schema of what is stored (2020-12)."""
    found = _DOCUMENT.json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "Evidence of a run, as lifeboat stores it",
    }


# -- what is wrong -----------------------------------------------------------------------------------------------------


def verified(chain: Chain) -> tuple[Finding, ...]:
    """Return what is wrong with a chain, by number; nothing where every link is as it was written, and that was seen.

    A link is whole where its bytes have the digest that the next link names and the other region knows. One that the other
    region does not know of is not called whole.
    """
    last = max([*chain.stored, *chain.heads, *chain.gone, *chain.heads_gone], default=0)
    return (
        *(Finding(number=None, wrong=Wrong.UNSEEN, text=text) for text in chain.unseen),
        *(finding for number in range(1, last + 1) for finding in _of_link(chain, number)),
    )


def judged(chain: Chain, number: int) -> tuple[Finding, ...]:
    """Return what is wrong with one link, as `verified` does of all."""
    unseen = (Finding(number=None, wrong=Wrong.UNSEEN, text=text) for text in chain.unseen)
    return (*unseen, *_of_link(chain, number))


def _of_link(chain: Chain, number: int) -> Iterator[Finding]:
    link, head, after = chain.stored.get(number), chain.heads.get(number), chain.stored.get(number + 1)
    if link is None:
        yield _missing(chain, number)
        return
    if head is not None and head.damaged:
        yield _found(
            number, Wrong.DISAGREES, f"what the other region knows of bundle {number} is damaged: {head.damaged}"
        )
    changed = _changed(link, head, after)
    if changed:
        yield _found(number, Wrong.CHANGED, changed)
    elif head is not None and not head.damaged and head.sha256 != link.sha256:
        text = (
            f"bundle {number} ({_of_run(link)}) and what the other region knows of it do not agree, and one of them was changed:"
            f" {link.sha256} here, as the next bundle says too, and {head.sha256} there"
        )
        yield _found(number, Wrong.DISAGREES, text)
    elif after is not None and _is_rewritten(link, head, after, chain.heads.get(number + 1)):
        text = (
            f"bundle {number} ({_of_run(link)}) was changed, and what the other region knows of it with it: its digest is"
            f" {link.sha256}, and the next bundle names {after.previous} for it"
        )
        yield _found(number, Wrong.DISAGREES, text)
    if number == 1 and not changed and link.previous != NOTHING_BEFORE:
        yield _found(number, Wrong.CHANGED, "bundle 1 names one before it")
    if head is None and number in chain.heads_gone:
        text = f"what the other region knew of bundle {number} ({_of_run(link)}) was taken away: nobody can tell by it any more"
        yield _found(number, Wrong.DISAGREES, text)
    elif head is None and not chain.unseen:
        text = (
            f"the other region does not know of bundle {number} ({_of_run(link)}): its writing was cut off, or that was taken"
            " away; nobody can tell whether the bundle is as it was written"
        )
        is_last = number == max(chain.stored)
        yield _found(number, Wrong.UNSEALED if is_last else Wrong.DISAGREES, text)


def _changed(link: Stored, head: Head | None, after: Stored | None) -> str:
    """Return what says that a link is not as it was written; "" where nothing does.

    The other region counts for more than the next link: where both are asked and disagree, the next one was changed, or the
    head, and that is told of those.
    """
    number = link.number
    if link.damaged:
        return f"bundle {number} cannot be read: {link.damaged}"
    if link.claims != number:
        return f"bundle {number} ({_of_run(link)}) says that it is number {link.claims}"
    said_by_head = head is None or head.damaged != "" or head.sha256 == link.sha256
    said_by_next = after is None or after.previous in ("", link.sha256)
    if head is not None and not head.damaged:
        if said_by_head or (after is not None and said_by_next and after.previous):
            return ""
        return f"bundle {number} ({_of_run(link)}) was changed: its digest is {link.sha256}, and was {head.sha256}"
    if not said_by_next and after is not None:
        return f"bundle {number} ({_of_run(link)}) was changed, or the next one: that names {after.previous} for it"
    return ""


def _is_rewritten(link: Stored, head: Head | None, after: Stored, head_after: Head | None) -> bool:
    """Return whether the next link names another digest for one of which the other region knows this one.

    Where the next one is itself not as the other region knows it, that is what was changed.
    """
    if head is None or head.damaged or after.damaged or after.previous in ("", link.sha256):
        return False
    return head_after is None or bool(head_after.damaged) or head_after.sha256 == after.sha256


def _missing(chain: Chain, number: int) -> Finding:
    head = chain.heads.get(number)
    whose = f" (run {head.run})" if head is not None and head.run else ""
    if number > max(chain.stored, default=0):
        return _found(number, Wrong.CUT_OFF, f"bundle {number}{whose} is gone, and none follows it: the end is cut off")
    return _found(number, Wrong.MISSING, f"bundle {number}{whose} is gone")


def _of_run(link: Stored) -> str:
    return f"run {link.run}" if link.run else "of no run that can be read"


def _found(number: int, wrong: Wrong, text: str) -> Finding:
    return Finding(number=number, wrong=wrong, text=text)
