"""The latest moment of a window is the one that was chosen and agreed to, however much later it is ordered."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lifeboat.database_model import PointKind

from tests.conftest import RunningCloud
from tests.dump_sites import PASSWORD, DumpSite, dump_site
from tests.restored_sites import carried_out, in_it, recovering

WINDOW_SECONDS = 90.0  # until a window reaches a moment


def of_a_generation(site: DumpSite) -> DumpSite:
    """Return the site with a database that is named as one of its application, and has a window."""
    rds, name = site.cloud.client("rds"), f"{site.plain.application}-g1"
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        EngineVersion="15",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        MasterUserPassword=PASSWORD,
        DBName="app",
        BackupRetentionPeriod=1,
    )
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=name, WaiterConfig={"Delay": 1})
    (shape,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    where = {"identifier": name, "address": shape["Endpoint"]["Address"], "port": shape["Endpoint"]["Port"]}
    return replace(site, database={**site.database, "database": {**site.database["database"], **where}})


def wait_for_window(site: DumpSite, moment: datetime) -> None:
    """Wait until the database can be restored to a moment."""
    rds, deadline = site.cloud.client("rds"), time.monotonic() + WINDOW_SECONDS
    while True:
        (shape,) = rds.describe_db_instances(DBInstanceIdentifier=site.database["database"]["identifier"])[
            "DBInstances"
        ]
        if shape.get("LatestRestorableTime", moment - timedelta(hours=1)) >= moment:
            return
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_what_was_written_after_the_choice_is_not_in_the_restored_database(cloud: RunningCloud, tmp_path: Path) -> None:
    site = of_a_generation(dump_site(cloud, tmp_path))
    site.run("CREATE TABLE early AS SELECT 1 AS n")
    wait_for_window(site, datetime.now(UTC) + timedelta(seconds=1))
    c = recovering(site, "any")
    # A vault that is not there may hold a copy that loses less, which somebody has to agree to.
    c = replace(c, request=replace(c.request, copy=None), agree=lambda _: None)
    carried_out(c, "copy")
    time.sleep(1.1)
    site.run("CREATE TABLE damage AS SELECT 1 AS n")
    wait_for_window(site, datetime.now(UTC) + timedelta(seconds=1))

    carried_out(c, "restore", "password")

    tables = in_it(c, "SELECT to_regclass('early')::text, to_regclass('damage')::text")
    assert c.fact("copy_kind") == PointKind.POINT_IN_TIME.value
    assert c.fact("copy_to") == c.fact("as_of")
    assert tables == [("early", None)]
