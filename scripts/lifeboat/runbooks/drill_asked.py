"""What a drill is asked for, looked at before it writes anything: the copy that is named, an image, SQL that can be read."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from lifeboat.clients.postgres import Postgres
from lifeboat.database_model import RecoveryPointId
from lifeboat.drill_model import DrillRequest, DrillScope
from lifeboat.dumps import recovery_choice, verifying
from lifeboat.dumps.recovery_choice import Asked
from lifeboat.errors import Failed, IntegrityFailure, NothingFits, RoleMissing, Unreachable
from lifeboat.model import Recovery
from lifeboat.site import Site
from lifeboat.stack import machine_images


def require(site: Site, recovery: Recovery, request: DrillRequest) -> None:
    """Raise NothingFits where the copy is not there or no image is, WrongConfiguration where a probe cannot be read.

    A drill that begins all the same writes a canary, and evidence of a recovery that failed: of what was never tried.
    """
    if request.scope in (DrillScope.DATABASE, DrillScope.FULL):
        if request.copy is not None:
            _require_copy(site, RecoveryPointId(request.copy))
        # A database that cannot be asked is told of with the canary; the restored one is asked the same.
        with suppress(Unreachable, Failed, RoleMissing, NothingFits, IntegrityFailure):
            require_readable(site, site.new_postgres(recovery))
    if request.scope in (DrillScope.INSTANCE, DrillScope.FULL):
        machine_images.latest(site, None)


def _require_copy(site: Site, named: RecoveryPointId) -> None:
    every = recovery_choice.candidates(site, Asked(to=None, named=named, failed_at=datetime.now(UTC)))
    chosen = every.required(every.choosing(), env=site.project.env)
    recovery_choice.require_fit(site, chosen, every.wanted)


def require_readable(site: Site, postgres: Postgres) -> None:
    """Raise WrongConfiguration where a server cannot read a probe, whatever its database holds; none of them is run."""
    questions = [probe.noun for probe in site.project.environment.dumps.probes]
    verifying.require_readable(postgres, questions, f"environments/{site.project.settings_file.name}")
