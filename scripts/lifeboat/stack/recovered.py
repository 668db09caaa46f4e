"""What recoveries chose and launched: held against a plan that would go back behind it, and against pruning."""

from __future__ import annotations

from collections.abc import Iterator

from lifeboat import config
from lifeboat.decisions import recoveries, recovery_files
from lifeboat.decisions import runs as run_states
from lifeboat.errors import IntegrityFailure, Refused
from lifeboat.model import ImageId, ImageUse, Plan, RunId, RunState
from lifeboat.site import Site
from lifeboat.stack import database_copies, outputs, recovery_file


def require_kept(site: Site, plan: Plan) -> None:
    """Raise Refused where a plan would replace what the newest recovery launched, and nobody here has decided on it.

    A checkout without the newest recovery file, such as the pipeline's, plans to go back to the image from before.
    """
    if not recoveries.replaces_instance(plan):
        return
    path = site.project.recovery_file
    named = recoveries.image_in(path.read_text() if path.exists() else None)
    running = ImageId(outputs.recovery(site.stack_store()).app.ami_id)
    planned = named or config.image_configured(site.project)
    if planned == running:
        return
    newest = _newest(site)
    try:
        launched = recoveries.launched(newest, running=running)
        # One that no recovery knows was named here to go to it.
        stale = launched is not None and (named is None or recoveries.is_older(named, launched, newest))
    except IntegrityFailure as error:
        raise IntegrityFailure(
            f"nobody can tell whether this plan, which replaces the instance, would undo a recovery: {error.summary}",
            hint=f'name the image that shall run in environments/{path.name}; what runs is {{"ami_id": "{running}"}}',
        ) from error
    if launched is None or not stale:
        return
    env = site.project.env
    raise Refused(
        f"this plan would undo the recovery {launched.run}: the instance runs {running}, from which it was launched, and"
        f" {'no file of this checkout names it' if named is None else f'environments/{path.name} names {named}'}",
        hint=f"lifeboat recovery-file -e {env} writes it as it must be, or fetch the one that was committed in the checkout on"
        f" {launched.host}, in which it was made; to go back on purpose: lifeboat recover -e {env} --ami {planned or 'ami-…'}",
    )


def images_chosen(site: Site) -> list[ImageUse]:
    """Return the images that recoveries which have not ended have chosen: gone on with, they launch from these.

    Raises IntegrityFailure where nobody can tell what one of them has chosen.
    """
    bucket, found = site.journals(), []
    for run in filter(run_states.is_recovery, bucket.unended()):
        events = bucket.events(run)
        image = recoveries.chosen(events)
        if image is not None and run_states.state(events) is not RunState.ENDED:
            found.append(ImageUse(image=image, by=f"the recovery {run}, which has not ended"))
    return found


def disagreeing(site: Site) -> str | None:
    """Return in words what the recovery file of this checkout says of the database's generations, and what the state knows.

    None where they agree.
    """
    name, text = f"environments/{site.project.recovery_file.name}", recovery_file.text(site)
    try:
        known = database_copies.in_state(site)
        if not recovery_files.differs(text, known):
            return None
    except IntegrityFailure as error:
        return f"nobody can tell whether {name} says what Terraform's state knows: {error.summary}"
    says = f"there is no {name} here, which means" if text is None else f"{name} says"
    return f"{says}: {recovery_files.said(text)}; Terraform's state knows: {recovery_files.told(known)}"


def fetching(site: Site) -> str:
    """Return what to do in a checkout whose recovery file is not the newest one."""
    name, env = f"environments/{site.project.recovery_file.name}", site.project.env
    made = _adopting(site)
    where = "" if made is None else f" in the checkout on {made[1]}, in which the recovery {made[0]} was made"
    return f"lifeboat recovery-file -e {env} writes {name} as Terraform's state says; or fetch the one that was committed{where}"


def agreeing(site: Site) -> str | None:
    """Return the recovery file as it must be: the generations that the state knows, and the image that a recovery launched.

    None where none is needed. Raises IntegrityFailure where nobody can tell, or where the file is not what we write.
    """
    text = recovery_files.agreeing(recovery_file.text(site), database_copies.in_state(site))
    configured = config.image_configured(site.project)
    running = ImageId(outputs.recovery(site.stack_store()).app.ami_id)
    if (recoveries.image_in(text) or configured) == running:
        return text
    # What no recovery launched was put there by a file, and stays what that says.
    launched = recoveries.launched(_newest(site), running=running)
    return text if launched is None else recoveries.recovery_file(text, running, configured)


def _adopting(site: Site) -> tuple[RunId, str] | None:
    """Return the newest recovery that wrote of generations into a recovery file, and the machine; None: nobody knows."""
    try:
        for one in _newest(site):
            given_up = recoveries.taken_out(one.events)
            hosts = [host for host in recoveries.wrote_generations(one.events) if host not in given_up]
            if hosts:
                return one.run, hosts[-1]
    except IntegrityFailure:
        return None
    return None


def _newest(site: Site) -> Iterator[recoveries.Recorded]:
    """Yield all recoveries, newest first: however many came to nothing, one before them launched what runs."""
    bucket = site.journals()
    for run in reversed([run for run in bucket.runs() if run_states.is_recovery(run)]):
        yield recoveries.Recorded(run=run, events=bucket.events(run))
