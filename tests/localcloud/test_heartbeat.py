"""The heartbeat of modules/app-instance, on a host that writes it into a real database."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from tests.conftest import RunningCloud
from tests.localcloud.machines import Machines, until

MODULE = Path(__file__).parents[2] / "modules/app-instance"
PASSWORD = r"pass:w\ord"  # what a passfile must escape
SETTINGS = """#!/bin/bash
set -eu
mkdir -p "$HOST_ROOT/etc/app"
printf 'AWS_REGION=eu-west-1\\nAPP_SECRET_NAME=app/database\\n' >"$HOST_ROOT/etc/app/app.env"
"""


def rendered(every_seconds: int) -> str:
    """Return the part of the start script that installs the heartbeat, as Terraform fills it in."""
    given = {
        "script": (MODULE / "files/heartbeat.sh").read_text(),
        "every_seconds": str(every_seconds),
        "keep_days": "7",
    }
    template = (MODULE / "templates/heartbeat.sh.tftpl").read_text()
    return re.sub(r"(?<!\$)\$\{(\w+)\}", lambda found: given[found.group(1)], template).replace(
        "$${HOST_ROOT", "${HOST_ROOT"
    )


@dataclass(frozen=True)
class Stage:
    """A database, what says where it is, and a host that beats every second."""

    machines: Machines
    host: str
    endpoint: dict[str, Any]
    password_secret: str

    def asked(self, sql: str, password: str = PASSWORD) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host=self.endpoint["Address"],
            port=self.endpoint["Port"],
            dbname="app",
            user="app_admin",
            password=password,
            sslmode="require",
            autocommit=True,
        ) as connection:
            found = connection.execute(sql)  # type: ignore[call-overload]
            return list(found) if found.description else []

    def beats(self, password: str = PASSWORD) -> int:
        if self.asked("select to_regclass('lifeboat_heartbeat')", password) == [(None,)]:
            return 0
        return int(self.asked("select count(*) from lifeboat_heartbeat", password)[0][0])

    def active(self) -> bool:
        try:
            return self.machines.shell(self.host, "systemctl is-active lifeboat-heartbeat").out == "active\n"
        except ClientError:  # SSM knows no host that is just starting
            return False

    def log(self) -> str:
        path = self.machines.root(self.host) / "var/log/lifeboat-heartbeat.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def stage(cloud: RunningCloud) -> Stage:
    machines, rds, secrets = Machines(cloud), cloud.client("rds"), cloud.client("secretsmanager")
    rds.create_db_instance(
        DBInstanceIdentifier="app",
        DBInstanceClass="db.t4g.small",
        Engine="postgres",
        AllocatedStorage=20,
        DBName="app",
        MasterUsername="app_admin",
        MasterUserPassword=PASSWORD,
    )
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="app", WaiterConfig={"Delay": 1})
    endpoint = rds.describe_db_instances(DBInstanceIdentifier="app")["DBInstances"][0]["Endpoint"]
    password = secrets.create_secret(Name="rds!db-app", SecretString=_signing_in(PASSWORD))["ARN"]
    place = {"host": endpoint["Address"], "port": endpoint["Port"], "dbname": "app", "username": "app_admin"}
    secrets.create_secret(Name="app/database", SecretString=json.dumps({**place, "password_secret_arn": password}))
    host = machines.launch(SETTINGS + rendered(1))
    return Stage(machines, host, endpoint, password)


def _signing_in(password: str) -> str:
    return json.dumps({"username": "app_admin", "password": password})


def test_the_script_is_one_that_bash_takes() -> None:
    checked = subprocess.run(["bash", "-n"], input=rendered(60), capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_host_beats_and_forgets_old_rows(stage: Stage) -> None:
    until(lambda: stage.beats() >= 2, 60)
    stage.asked("insert into lifeboat_heartbeat values (now() - interval '8 days'), (now() - interval '6 days')")
    old = "select extract(day from now() - beat_at)::int from lifeboat_heartbeat where beat_at < now() - interval '5 days'"
    until(lambda: stage.asked(old) == [(6,)], 30)

    (newest,) = stage.asked("select max(beat_at) from lifeboat_heartbeat")[0]

    assert abs((datetime.now(UTC) - newest).total_seconds()) < 30
    assert PASSWORD not in stage.log()


def test_it_goes_on_after_a_new_password_and_after_a_reboot(stage: Stage, cloud: RunningCloud) -> None:
    rotated = "rotated"
    stage.asked(f"alter role app_admin password '{rotated}'")
    before = stage.beats(rotated)
    secrets = cloud.client("secretsmanager")
    secrets.put_secret_value(SecretId=stage.password_secret, SecretString=_signing_in(rotated))

    until(lambda: stage.beats(rotated) > before, 30)
    stage.machines.ec2.reboot_instances(InstanceIds=[stage.host])
    until(stage.active, 30)
    before = stage.beats(rotated)
    until(lambda: stage.beats(rotated) > before, 30)


def test_a_stopped_heartbeat_is_silent_and_stays_so_when_it_is_disabled(stage: Stage) -> None:
    done = stage.machines.shell(
        stage.host,
        "systemctl disable --now lifeboat-heartbeat; systemctl is-active lifeboat-heartbeat; "
        "systemctl is-enabled lifeboat-heartbeat",
    )

    assert done.out == "inactive\ndisabled\n"
    assert not (
        stage.machines.root(stage.host) / "etc/systemd/system/multi-user.target.wants/lifeboat-heartbeat.service"
    ).is_symlink()
