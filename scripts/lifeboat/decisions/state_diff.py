"""What one state has that another has not: resources, their attributes, outputs; nothing of it sensitive."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from lifeboat.decisions import state_secrets
from lifeboat.decisions.state_documents import StateDocument, identity
from lifeboat.decisions.state_secrets import MASK, Leaf, Secrets
from lifeboat.model import Address, Secret
from lifeboat.state_model import AttributeChange, Move, ResourceChange, ResourceView, StateDiff

STATUS = "(status)"  # no attribute is called so


def diff(old: StateDocument, new: StateDocument) -> StateDiff:
    """Return what becomes of the first state in the second one.

    A resource whose id is another is replaced; one that is at another address, and the same otherwise, has moved. Serials,
    data sources and the order of things make no difference.
    """
    known = state_secrets.both(old.secrets, new.secrets)
    gone = {address: view for address, view in old.resources.items() if address not in new.resources}
    come = {address: view for address, view in new.resources.items() if address not in old.resources}
    moves = _moves(gone, come)
    both = sorted(old.resources.keys() & new.resources.keys())
    pairs = [(old.resources[address], new.resources[address]) for address in both]
    replaced = [change for pair in pairs if _replaced(*pair) and (change := _change(*pair, known)) is not None]
    changed = [change for pair in pairs if not _replaced(*pair) and (change := _change(*pair, known)) is not None]
    return StateDiff(
        added=tuple(come[address] for address in sorted(come) if address not in moves.values()),
        removed=tuple(gone[address] for address in sorted(gone) if address not in moves),
        moved=tuple(Move(old=gone[a].address, new=come[b].address, id=gone[a].id) for a, b in sorted(moves.items())),
        replaced=tuple(replaced),
        changed=tuple(changed),
        outputs=_outputs(old, new, known),
        lineages=(old.facts.lineage, new.facts.lineage),
    )


def _moves(gone: dict[Address, ResourceView], come: dict[Address, ResourceView]) -> dict[Address, Address]:
    """Return what is only called otherwise, by its old address: one of a type and id on either side."""
    before, after = Counter(map(_thing, gone.values())), Counter(map(_thing, come.values()))
    places = {_thing(view): address for address, view in come.items()}
    return {
        address: places[thing]
        for address, view in gone.items()
        if (thing := _thing(view))[1] and before[thing] == after[thing] == 1
    }


def _thing(view: ResourceView) -> tuple[str, str, str | None]:
    # The key of a deposed object is in its address too, and is kept by a move.
    return view.kind, identity(view.attributes), view.deposed


def _replaced(old: ResourceView, new: ResourceView) -> bool:
    return identity(old.attributes) != identity(new.attributes)


def _change(old: ResourceView, new: ResourceView, known: Secrets) -> ResourceChange | None:
    """Return what changed of a resource; None where nothing did."""
    if old.attributes == new.attributes and old.status == new.status:
        return None  # what the state marks as sensitive may differ by Terraform's version alone
    before = state_secrets.leaves(old.attributes, old.sensitive | new.sensitive)
    after = state_secrets.leaves(new.attributes, old.sensitive | new.sensitive)
    changes = (*_status(old, new), *_attributes(before, after, known))
    if not changes and not _replaced(old, new):
        return None
    return ResourceChange(address=old.address, old_id=old.id, new_id=new.id, changes=changes)


def _status(old: ResourceView, new: ResourceView) -> Iterator[AttributeChange]:
    """Yield what is no attribute, and makes the next apply replace the resource: that it is tainted, or is no more."""
    if old.status != new.status:
        yield AttributeChange(path=STATUS, old=old.status or None, new=new.status or None)


def _attributes(before: dict[str, Leaf], after: dict[str, Leaf], known: Secrets) -> tuple[AttributeChange, ...]:
    return tuple(
        AttributeChange(path=known.masked(path), old=_text(before.get(path), known), new=_text(after.get(path), known))
        for path in sorted(before.keys() | after.keys())
        if _plain(before.get(path)) != _plain(after.get(path))
    )


def _plain(leaf: Leaf | None) -> str | None:
    return leaf.reveal() if isinstance(leaf, Secret) else leaf


def _text(leaf: Leaf | None, known: Secrets) -> str | None:
    if leaf is None:
        return None
    return MASK if isinstance(leaf, Secret) else known.masked(leaf)


def _outputs(old: StateDocument, new: StateDocument, known: Secrets) -> tuple[AttributeChange, ...]:
    return _attributes(_output_leaves(old), _output_leaves(new), known)


def _output_leaves(document: StateDocument) -> dict[str, Leaf]:
    """Return the outputs by path, the sensitive ones whole and hidden."""
    found: dict[str, Leaf] = {}
    for name, value in document.raw_outputs.items():
        if document.outputs[name].sensitive:
            found[name] = Secret(json.dumps(value, sort_keys=True))
        else:
            found |= state_secrets.leaves({name: value}, frozenset())
    return found
