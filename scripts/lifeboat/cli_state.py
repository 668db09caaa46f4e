"""The verbs `lifeboat state …`: the history of Terraform's state, looked at and gone back to."""

from __future__ import annotations

from typing import Annotated

import typer

from lifeboat import views, views_state
from lifeboat.cli_options import Env, Out, Output, site_of
from lifeboat.commands import state as state_command
from lifeboat.commands.state import Source
from lifeboat.errors import DONE, PENDING_CHANGES
from lifeboat.state_model import StateRoot

state = typer.Typer(
    help="Terraform's own state: every version of it listed, read, compared, and gone back to.", no_args_is_help=True
)

Root = Annotated[
    StateRoot, typer.Option("--root", help="Whose state: the stack's, or that of root 1, which makes the bucket.")
]
Replica = Annotated[
    bool, typer.Option("--replica", help="The copy of the bucket in the other region, where the first is out of reach.")
]
Version = Annotated[
    str,
    typer.Argument(
        metavar="VERSION",
        help="A version id, as lifeboat state list shows it, latest, previous, or file:PATH of this machine.",
    ),
]


# -- looking -----------------------------------------------------------------------------------------------------------


@state.command("list")
def list_(
    env: Env = "local", output: Out = Output.TABLE, root: Root = StateRoot.STACK, replica: Replica = False
) -> int:
    """List every version and delete marker of the state, newest first: what each is, who wrote it, whether it can be read.

    Below them stands what is amiss. Ends with 0 when all could be looked at, whatever was found: whether the state is sound
    says lifeboat state doctor. With 8 where something may not be looked at, with 6 where there is no bucket.

    Example: lifeboat state list --replica -e production
    """
    found = state_command.listed(site_of(env), views.Teller(), Source(root=root, replica=replica))
    if output is Output.JSON:
        views.document(views_state.listed_document(found))
    else:
        views_state.listed(found)
    found.require_whole()
    return DONE


@state.command("show")
def show(
    wanted: Version,
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    root: Root = StateRoot.STACK,
    replica: Replica = False,
) -> int:
    """Show what one version says of itself, its resources, and its outputs; never what is sensitive.

    Ends with 6 where there is no such version, and with 11 where it is no state that can be read.

    Example: lifeboat state show previous -e production
    """
    found = state_command.shown(site_of(env), Source(root=root, replica=replica), wanted)
    if output is Output.JSON:
        views.document(views_state.shown_document(found))
    else:
        views_state.shown(found)
    return DONE


@state.command("diff")
def diff(
    old: Version,
    new: Version,
    *,
    env: Env = "local",
    output: Out = Output.TABLE,
    root: Root = StateRoot.STACK,
    replica: Replica = False,
) -> int:
    """Show what the second version has that the first has not: resources, attributes, outputs; what is sensitive is masked.

    A resource is replaced where its id changed, and moved where only its address did. Serials and data sources make no
    difference. Ends with 0 when both are the same, with 20 when they differ.

    Example: lifeboat state diff previous latest -e production
    """
    found = state_command.compared(site_of(env), Source(root=root, replica=replica), old, new)
    if output is Output.JSON:
        views.document(views_state.compared_document(found))
    else:
        views_state.compared(found)
    return DONE if found.diff.same else PENDING_CHANGES


# -- judging: doctor, unlock ---------------------------------------------------------------------------------------------


# -- going back: restore -------------------------------------------------------------------------------------------------
