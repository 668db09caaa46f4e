"""Where copies of the database lie: as the stack's output says, by their fixed names where the state is lost."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.errors import IntegrityFailure, Unreachable, WrongConfiguration
from lifeboat.model import Dumps, Vaults
from lifeboat.site import Site
from lifeboat.stack import outputs


@dataclass(frozen=True, kw_only=True)
class Places:
    """Buckets, vaults and regions of an environment; `remark` says why they are told by name only."""

    region: str
    dr_region: str
    dumps: Dumps
    vaults: Vaults
    remark: str = ""

    @property
    def regions(self) -> tuple[str, str]:
        """The primary region and the DR region."""
        return self.region, self.dr_region

    def other(self, region: str | None) -> str:
        """Return the region of the copies beside one; None: the primary one."""
        return self.dr_region if region in (None, self.region) else self.region

    def require(self, region: str | None) -> str:
        """Return a region, of None the primary one; raises WrongConfiguration where no dumps lie there."""
        if region not in (None, *self.regions):
            raise WrongConfiguration(
                f"dumps lie in {self.region} and {self.dr_region}, not in {region}",
                hint=f"--region {self.dr_region} looks at the copies",
            )
        return region or self.region


def of(site: Site) -> Places:
    """Return where copies lie. That the state is gone is no reason not to find them."""
    application = site.project.environment.application
    try:
        found = outputs.recovery(site.stack_store())
        return Places(region=found.region, dr_region=found.dr_region, dumps=found.dumps, vaults=found.vaults)
    except (IntegrityFailure, Unreachable) as error:
        # The names that modules/dump-bucket and modules/backup-plan give.
        bucket = f"{application.name}-dumps-{application.account_id}"
        return Places(
            region=application.region,
            dr_region=application.dr_region,
            dumps=Dumps(
                bucket=f"{bucket}-{application.region}",
                prefix="dumps/",
                replica_bucket=f"{bucket}-{application.dr_region}",
            ),
            vaults=Vaults(primary=f"{application.name}-backups", dr=f"{application.name}-backups-dr"),
            remark=f"looked where the names say that copies lie, for the stack does not tell: {error.summary}",
        )
