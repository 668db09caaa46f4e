"""A run's evidence, written when the run ends: what it proved goes into the chain, and that it could not is only warned of."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata

from lifeboat.clients import terraform
from lifeboat.clients.evidence_store import EvidenceStore
from lifeboat.clients.journal import Journal
from lifeboat.decisions import evidence
from lifeboat.decisions import runs as run_states
from lifeboat.decisions.evidence import Ended, Facts
from lifeboat.decisions.timings import Answering
from lifeboat.errors import INTERRUPTED, Failed, IntegrityFailure, Interrupted, LifeboatError, Locked, Unreachable
from lifeboat.evidence_model import Kind, Link
from lifeboat.model import RunState, Teller
from lifeboat.site import Site
from lifeboat.stack import outputs

# What a journal that another version began makes of us: a recovery that is done does not end with it.
NOT_UNDERSTOOD = (AttributeError, LookupError, OSError, TypeError, ValueError)
_VERSION_SECONDS = 5.0  # Terraform says its own at once, or not at all


@dataclass(frozen=True, kw_only=True)
class About:
    """What a journal is of: kind of run, what it brings back, its steps' titles, and which of them tells that it answers."""

    kind: Kind
    scope: str
    answering: Answering
    titles: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, kw_only=True)
class Written:
    """How a run ended, as its evidence has it, and the place of that in the chain; None: nobody could tell, or write it.

    `refused` is why it was not written where that is no fault of the journal's: the same order may go through another time.
    """

    ended: Ended | None = None
    link: Link | None = None
    refused: str = ""


def store(site: Site) -> EvidenceStore:
    """Return the environment's evidence, in the bucket that the stack names, or that modules/dump-bucket would."""
    application = site.project.environment.application
    try:
        bucket = outputs.recovery(site.stack_store()).dumps.bucket
    except (IntegrityFailure, Unreachable):
        bucket = f"{application.name}-dumps-{application.account_id}-{application.region}"
    return site.evidence(bucket)


def ended(error: LifeboatError | None) -> Ended | None:
    """Return how an attempt ended that this was raised out of; None where nothing was."""
    return None if error is None else Ended(exit_status=error.exit_status, why=error.summary)


@contextmanager
def kept(site: Site, tell: Teller, journal: Journal, about: About) -> Iterator[None]:
    """Write the evidence of a run when the block ends, however it does; what the block raised is raised all the same."""
    try:
        yield
    except Locked:
        raise  # somebody else goes on with it: the evidence is theirs
    except LifeboatError as error:
        append(site, tell, journal, about, ended(error))
        raise
    except KeyboardInterrupt:
        append(site, tell, journal, about, Ended(exit_status=INTERRUPTED, why="interrupted"))
        raise
    except Exception as error:
        append(site, tell, journal, about, Ended(exit_status=Failed.exit_status, why=type(error).__name__))
        raise
    append(site, tell, journal, about)


def append(site: Site, tell: Teller, journal: Journal, about: About, error: Ended | None = None) -> Written:
    """Write the evidence of a run into the chain and return its place, and how it ended; that it failed is warned of.

    `error` is what an attempt was raised out of. Of a run that has ended its last line says that, here as for a sweep: what
    interrupted the command after that line interrupted no recovery. Such a run is marked as ended after it: until then
    `lifeboat sweep` writes what is missing. Raises Interrupted with that where it is interrupted.
    """
    how: Ended | None = None
    has_ended = run_states.state(journal.events) is RunState.ENDED
    try:
        raised = evidence.raised(journal.events) if has_ended else error
        bundle = evidence.bundle(journal.events, _facts(site, journal, about, raised))
        how = Ended(exit_status=bundle.exit_status, why=bundle.why)
        link = store(site).append(bundle)
    except (LifeboatError, *NOT_UNDERSTOOD) as failure:
        why = failure.summary if isinstance(failure, LifeboatError) else f"{type(failure).__name__}: {failure}"
        later = "; lifeboat sweep writes it, once that is mended" if has_ended else ""
        tell.warn(
            f"the evidence of {journal.run} is not written: {why}; its journal stays (lifeboat logs {journal.run}){later}"
        )
        return Written(ended=how, refused=why if isinstance(failure, LifeboatError) else "")
    except KeyboardInterrupt:
        if not has_ended:
            raise
        raise Interrupted(
            f"interrupted while the evidence of {journal.run} was written",
            hint="lifeboat sweep writes it where it is missing",
        ) from None
    if has_ended:
        with suppress(LifeboatError):  # a sweep finds the evidence, and marks it
            journal.mark_ended()
    if link.unsealed:
        tell.warn(
            f"the evidence of {journal.run} is bundle {link.number}, and the other region does not know of it yet:"
            f" {link.unsealed}; the next run tells it"
        )
    else:
        tell.say(f"evidence: bundle {link.number}, sha256 {link.sha256}; lifeboat report {journal.run} shows it")
    return Written(ended=how, link=link)


def _facts(site: Site, journal: Journal, about: About, error: Ended | None) -> Facts:
    application = site.project.environment.application
    return Facts(
        kind=about.kind,
        run=journal.run,
        scope=about.scope,
        application=application.name,
        environment=site.project.env,
        account=application.account_id,
        region=application.region,
        objectives=outputs.recovery(site.stack_store()).objectives,
        answering=about.answering,
        titles=about.titles,
        versions=_versions(),
        error=error,
    )


def _versions() -> dict[str, str]:
    """Return the versions of what did the work."""
    return {
        "lifeboat": metadata.version("lifeboat"),
        "python": platform.python_version(),
        "boto3": metadata.version("boto3"),
        "terraform": terraform.version(seconds=_VERSION_SECONDS).words,
    }
