"""`make destroy` takes all down in order and leaves nothing running."""

from __future__ import annotations

import psutil

from tests.rehearsal import Rehearsal, passed


def running_in(rehearsal: Rehearsal) -> list[str]:
    """Return the programs whose command line or folder belongs to a checkout."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(rehearsal.root) in words or str(process.info["cwd"] or "").startswith(str(rehearsal.root)):
            found.append(words)
    return found


def restore_tested(rehearsal: Rehearsal) -> str:
    """Let AWS Backup test a restore and return the database that it leaves for somebody to look at."""
    rehearsal.control("tick", schedule="monthly")
    found = [one["DBInstanceIdentifier"] for one in rehearsal.client("rds").describe_db_instances()["DBInstances"]]
    (tested,) = [name for name in found if name.startswith("awsbackup-restore-test-")]
    return str(tested)


def state_versions(rehearsal: Rehearsal) -> list[str]:
    """Return the versions of the stack's state."""
    found = rehearsal.client("s3").list_object_versions(
        Bucket="app-local-tfstate-123456789012-eu-west-1", Prefix="stack.tfstate"
    )
    return [one["VersionId"] for one in found["Versions"] if one["Key"] == "stack.tfstate"]


def test_a_database_whose_protection_nobody_can_lift_is_told_before_anything_is_taken_down(stack: Rehearsal) -> None:
    passed(stack.lifeboat("local", "break", "database"))
    before = state_versions(stack)

    done = stack.lifeboat("destroy", "--yes")

    assert done.returncode == 3
    assert "error: app-local-g1 is failed: RDS takes no snapshot of it" in done.stderr
    assert "next: lifeboat local reset -e local takes the local cloud away" in done.stderr
    assert state_versions(stack) == before


def test_destroy_takes_everything_down_and_leaves_nothing_running(saved: Rehearsal) -> None:
    passed(saved.lifeboat("local", "up"))
    mark = {"lifeboat:drill": "20260301T000000Z-drill-full-aaaaaa", "lifeboat:drill-of": "app-local"}
    saved.client("secretsmanager").create_secret(
        Name="app-local-drill-aaaaaa",
        SecretString="{}",
        Tags=[{"Key": name, "Value": value} for name, value in mark.items()],
    )
    in_the_way = saved.lifeboat("destroy", "--yes")
    passed(saved.lifeboat("sweep", "--yes"))
    tested = restore_tested(saved)
    kept = saved.root.parent / "kept"
    (saved.root / ".lifeboat" / "local" / "cloud" / "saves").rename(kept)

    done = passed(saved.run("make", "destroy"))
    again = saved.run("make", "destroy")

    assert in_the_way.returncode == 12
    assert "app-local-drill-aaaaaa" in in_the_way.stderr
    assert "lifeboat sweep shows and removes it" in in_the_way.stderr
    assert f"deleting {tested}, which a restore test of AWS Backup left" in done.stderr
    assert "resources destroyed; nothing is left running" in done.stdout
    assert running_in(saved) == []
    assert not (saved.root / ".lifeboat" / "local" / "cloud").exists()
    passed(again, 2)
    assert "there is nothing to destroy" in again.stderr
    kept.parent.joinpath("kept").rename(_saves(saved))


def _saves(saved: Rehearsal) -> str:
    folder = saved.root / ".lifeboat" / "local" / "cloud"
    folder.mkdir(parents=True)
    return str(folder / "saves")
