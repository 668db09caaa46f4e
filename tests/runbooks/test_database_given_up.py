"""A recovery of the database that is given up: what may go goes in an order that a cut cannot hurt, and what serves stays."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from lifeboat.commands import recover
from lifeboat.errors import Refused
from lifeboat.model import EventKind, RunId

from tests.gitlab_sites import RECOVERY
from tests.plain_sites import REQUEST, PlainSite, Told, plain_site
from tests.runbooks.conftest import Quick

OLD = RECOVERY["database"]["address"]
INTENT, RESULT, NOTE, DONE = EventKind.INTENT, EventKind.RESULT, EventKind.NOTE, EventKind.DONE


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A recovery that was cut off when its instance g2 was restored, and the application's secret."""

    plain: PlainSite
    run: str

    @property
    def secret(self) -> str:
        return f"{self.plain.application}/database"

    @property
    def identifier(self) -> str:
        return f"{self.plain.application}-g2"

    @property
    def file(self) -> Path:
        return self.plain.root / "environments" / "x.recovery.tfvars.json"

    def instance(self) -> dict[str, Any] | None:
        found = self.plain.cloud.client("rds").describe_db_instances()["DBInstances"]
        return next((one for one in found if one["DBInstanceIdentifier"] == self.identifier), None)

    def there(self) -> dict[str, Any]:
        found = self.instance()
        assert found is not None
        return found

    def mark(self) -> None:
        rds, tags = self.plain.cloud.client("rds"), [{"Key": "lifeboat:run", "Value": self.run}]
        rds.add_tags_to_resource(ResourceName=self.there()["DBInstanceArn"], Tags=tags)

    def unmark(self) -> None:
        """Take the mark of the run off, as an adopting apply does."""
        rds = self.plain.cloud.client("rds")
        rds.remove_tags_from_resource(ResourceName=self.there()["DBInstanceArn"], TagKeys=["lifeboat:run"])

    def lead(self, host: str) -> None:
        """Let the application's secret name a host."""
        secrets = self.plain.cloud.client("secretsmanager")
        secrets.put_secret_value(SecretId=self.secret, SecretString=json.dumps({"host": host}))

    def lead_to_it(self) -> None:
        self.lead(self.there()["Endpoint"]["Address"])

    def record(self, *generations: str, **database: Any) -> None:
        """Let Terraform's state know these generations."""
        resource = {
            "type": "aws_db_instance",
            "mode": "managed",
            "module": "module.database",
            "instances": [{"index_key": one, "attributes": {}} for one in generations],
        }
        recovery = {
            **RECOVERY,
            "application": self.plain.application,
            "database": {**RECOVERY["database"], **database},
            "secrets": {"name": self.secret, "arn": self.secret},
        }
        outputs = {"recovery": {"value": recovery, "type": "dynamic"}}
        state = {"version": 4, "serial": 7, "lineage": "l", "outputs": outputs, "resources": [resource]}
        self.plain.put("stack.tfstate", json.dumps(state).encode())

    def write(self, document: dict[str, Any]) -> None:
        self.file.write_text(json.dumps(document))

    def begin(self, *more: tuple[EventKind, str, dict[str, Any]], scope: str = "database", **begun: Any) -> None:
        """Write the journal until a copy was chosen, and these lines."""
        self.plain.run(
            self.run,
            (NOTE, "copy", {"generation": "g2", "identifier": self.identifier, "old_generation": "g1"}),
            *more,
            **{"request": {**REQUEST, "scope": scope}, **begun},
        )

    def abort(self) -> list[str]:
        return recover.abort(self.plain.site(), Told(), RunId(self.run))

    def lines(self) -> list[tuple[str, str]]:
        """Return what the journal says of the effects of the abort."""
        events = self.plain.site().journals().events(RunId(self.run))
        return [(one.kind.value, one.text) for one in events if one.step == "abort" or one.kind is EventKind.ENDED]


@pytest.fixture(scope="module")
def plain(quick: Quick, tmp_path_factory: pytest.TempPathFactory) -> PlainSite:
    """A site with an instance g2 that no state knows and that is for all tests."""
    made = plain_site(quick, tmp_path_factory.mktemp("site"))
    (made.root / "terraform" / "stack").mkdir(parents=True)
    quick.client("secretsmanager").create_secret(Name=f"{made.application}/database", SecretString="{}")
    quick.client("rds").create_db_instance(
        DBInstanceIdentifier=f"{made.application}-g2",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        DBName="app",
        MasterUsername="app_admin",
        ManageMasterUserPassword=True,
        DeletionProtection=True,
    )
    return made


@pytest.fixture
def cut(plain: PlainSite) -> Iterator[Cut]:
    """A run of its own, whose mark the instance bears; the application's secret leads to g1, which the state knows."""
    made = Cut(plain=plain, run=f"20260301T030000Z-recover-{uuid4().hex[:6]}")
    made.mark()
    made.lead(OLD)
    made.record("g1")
    yield made
    made.file.unlink(missing_ok=True)


RESTORED = ((INTENT, "restore", {}), (DONE, "restore", {}))
WROTE = (INTENT, "database-file", {"generation": "g2", "before": None})
ADOPTS = (INTENT, "adopt", {})
NAMES_IT = {
    "active_generation": "g2",
    "database_generations": {"g1": {}, "g2": {"restored": True, "dr_copy": False}},
}


def both(cut: Cut) -> None:
    cut.unmark()
    cut.lead_to_it()


STILL = "may still name g2: take it out there, else the next apply from there fails"
MARK = "app-g2 does not bear the mark of this recovery any more, and Terraform's state does not know it"
LEADS = "the application's secret leads to app-g2, which Terraform's state does not know"


@pytest.mark.parametrize(
    ("cut_off", "why"),
    [(Cut.unmark, MARK), (Cut.lead_to_it, LEADS), (both, LEADS)],
    ids=["the mark is off", "the secret leads to it", "both"],
)
@pytest.mark.parametrize("scope", ["database", "full"])
def test_what_an_adoption_that_was_cut_off_has_led_to_is_not_given_up(
    cut: Cut, cut_off: Callable[[Cut], None], why: str, scope: str
) -> None:
    cut.write(NAMES_IT)
    cut.begin(*RESTORED, WROTE, ADOPTS, scope=scope)
    cut_off(cut)

    with pytest.raises(Refused) as refused:
        cut.abort()

    assert refused.value.summary.replace(cut.identifier, "app-g2") == (
        f"{why}: an apply that adopts it was cut off, and the application may work on it"
    )
    assert refused.value.hint == f"lifeboat resume {cut.run} -e x, which ends the adoption"
    assert json.loads(cut.file.read_text()) == NAMES_IT
    assert cut.instance() is not None
    assert cut.lines() == []


def test_a_state_that_could_not_be_saved_is_saved_before_anything_is_given_up(cut: Cut) -> None:
    cut.write(NAMES_IT)
    cut.begin(*RESTORED, WROTE, ADOPTS)
    left = cut.plain.root / "terraform" / "stack" / "errored.tfstate"
    left.write_text(json.dumps({"serial": 8, "lineage": "l", "resources": []}))

    with pytest.raises(Refused, match="could not save its state .serial 8. and left it in"):
        cut.abort()

    left.unlink()
    assert cut.instance() is not None
    assert cut.lines() == []


def test_the_file_names_what_there_is_and_nothing_that_was_retired_since_it_was_written(cut: Cut) -> None:
    before = {"active_generation": "g3", "database_generations": {"g1": {}, "g3": {"restored": True}}}
    cut.record("g3", active_generation="g3")
    cut.write({"active_generation": "g2", "database_generations": {"g2": {"restored": True, "dr_copy": False}}})
    cut.unmark()
    cut.begin((INTENT, "database-file", {"generation": "g2", "before": json.dumps(before)}))
    untouched = cut.file.with_name("untouched")
    untouched.hardlink_to(cut.file)

    told = cut.abort()

    assert json.loads(cut.file.read_text()) == {
        "active_generation": "g3",
        "database_generations": {"g3": {"restored": True}},
    }
    # Another file has taken its place: whoever was cut off there left the old one, whole.
    assert json.loads(untouched.read_text())["active_generation"] == "g2"
    assert cut.file.stat().st_mode & 0o777 == 0o644
    assert told[1:4] == [
        "environments/x.recovery.tfvars.json no longer names g2",
        f"environments/x.recovery.tfvars.json of the checkout on laptop {STILL}",
        f"{cut.identifier} stays, for it does not bear the mark of this recovery",
    ]


def test_from_another_checkout_somebody_is_told_whose_file_still_names_it(cut: Cut) -> None:
    cut.unmark()
    cut.begin(WROTE)

    told = cut.abort()

    assert not cut.file.exists()
    assert told[1] == f"environments/x.recovery.tfvars.json of the checkout on laptop {STILL}"


def test_an_instance_that_is_gone_keeps_nobody_and_where_the_application_is_led_is_told(cut: Cut) -> None:
    cut.lead("10.0.0.77")
    cut.begin((NOTE, "copy", {"generation": "g5", "identifier": f"{cut.plain.application}-g5"}), *RESTORED, ADOPTS)

    told = cut.abort()

    assert told[1] == (
        "the application's secret leads to 10.0.0.77, where no database of Terraform's is, and no apply leads it back:"
        " lifeboat recover --scope database -e x does"
    )


OUT = "take g2 out of environments/x.recovery.tfvars.json"


def test_cut_off_once_the_file_was_put_back_it_is_given_up_again_without_a_word_of_that(cut: Cut) -> None:
    here = socket.gethostname()
    cut.unmark()
    cut.begin(WROTE, (INTENT, "abort", {}), (RESULT, "abort", {"taken_out": here}), host=here)

    told = cut.abort()

    assert told[1:] == [
        f"{cut.identifier} stays, for it does not bear the mark of this recovery",
        "if the database is still away: lifeboat recover --scope database -e x",
    ]


def test_what_no_adoption_has_led_to_goes_once_the_file_does_not_name_it_any_more(cut: Cut) -> None:
    cut.write({**NAMES_IT, "ami_id": "ami-9"})
    cut.begin(*RESTORED, WROTE, ADOPTS, host=socket.gethostname())

    told = cut.abort()

    # It was to be adopted next, so it is protected by then.
    effects = (OUT, f"lift the protection of {cut.identifier}", f"delete {cut.identifier}")
    assert cut.lines() == [
        *((kind, effect) for effect in effects for kind in ("intent", "result")),
        ("ended", "aborted"),
    ]
    assert json.loads(cut.file.read_text()) == {"ami_id": "ami-9"}
    assert cut.instance() is None
    assert told == [
        f"{cut.run} is given up",
        "environments/x.recovery.tfvars.json no longer names g2",
        f"{cut.identifier}, which this recovery restored and Terraform does not know, is being deleted",
        "if the database is still away: lifeboat recover --scope database -e x",
    ]
