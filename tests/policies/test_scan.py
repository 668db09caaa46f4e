"""`lifeboat scan` and `lifeboat policy`: exit statuses, what is printed where, and nothing secret."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from lifeboat.decisions.policy.formats.files import NAMES
from lifeboat.decisions.policy.registry import RULES

from tests import command_line
from tests.policies.cases.databases import database
from tests.policies.cases.protection import volume, with_policy
from tests.policies.plans import PlanFile, known, later
from tests.rehearsal import CLEAN, ROOT, passed

Done = subprocess.CompletedProcess[str]
_SECRET = "hunter2-canary"


def lifeboat(*arguments: str) -> Done:
    """Run lifeboat in this process, where there is no checkout."""
    return command_line.run(Path("/"), *arguments, env=CLEAN)


def started(*arguments: str, given: bytes) -> Done:
    """Run lifeboat as a program, where there is no checkout, with something to read."""
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{CLEAN['PATH']}"
    done = subprocess.run(
        ["lifeboat", *arguments],
        cwd="/",
        env={**CLEAN, "PATH": path},
        input=given,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def _good() -> PlanFile:
    """Return a plan with findings of medium severity at most."""
    return with_policy(volume(), schedule=[{"create_rule": [{"interval": 24}], "copy_tags": True}]).add(
        "aws_cloudwatch_metric_alarm.volumes",
        {
            "alarm_name": "volume-stale",
            "metric_name": "SnapshotAgeHours",
            "comparison_operator": "GreaterThanThreshold",
            "threshold": 24,
            "treat_missing_data": "breaching",
            "alarm_actions": ["arn:aws:sns:eu-west-1:123456789012:alarms"],
        },
    )


def _file(folder: Path, plan: PlanFile) -> str:
    path = folder / "plan.json"
    path.write_bytes(plan.text())
    return str(path)


def test_a_plan_without_grave_findings_passes(tmp_path: Path) -> None:
    done = passed(lifeboat("scan", "--plan", _file(tmp_path, _good()), "--native"))

    assert "│ medium " in done.stdout
    assert "│ LB_DLM_2 │" in done.stdout
    assert f"passed: {len(RULES)} rules on 3 resources: 1 with findings" in done.stdout
    assert done.stderr == ""


def test_the_rules_that_had_nothing_to_judge_are_named(tmp_path: Path) -> None:
    name = _file(tmp_path, _good())

    done = passed(lifeboat("scan", "--plan", name))
    document = json.loads(passed(lifeboat("scan", "--plan", name, "-o", "json")).stdout)

    idle = [one["id"] for one in document["rules"] if one["verdict"] == "absent"]
    assert "LB_RDS_1" in idle
    assert f"nothing there to judge for {', '.join(idle)}" in " ".join(done.stdout.split())


def test_a_grave_finding_fails_and_says_what_why_and_what_to_change(tmp_path: Path) -> None:
    done = passed(lifeboat("scan", "--plan", _file(tmp_path, database(backup_retention_period=1))), 1)

    assert "automated backups are kept for 1 day" in done.stdout
    assert "at least 7 days" in done.stdout
    rule = next(rule for rule in RULES if rule.id == "LB_RDS_1")
    assert f"LB_RDS_1: {rule.why} {rule.change}" in done.stdout
    assert "failed: " in done.stdout


def test_a_scan_as_json_by_a_program_of_what_it_is_given() -> None:
    done = passed(started("scan", "--plan", "-", "-o", "json", given=database(backup_retention_period=1).text()), 1)

    found = json.loads(done.stdout)
    first = next(one for one in found["findings"] if one["rule"] == "LB_RDS_1")
    assert (found["valid"], found["passed"], found["not_valid"]) == (True, False, [])
    assert found["parameters"]["rpo"] == {"hours": 24.0, "from": "var.objectives.rpo_hours"}
    assert found["parameters"]["min_retention"] == {"hours": 168.0, "from": "default"}
    assert (first["severity"], first["address"]) == ("high", "aws_db_instance.this")
    assert {"framework": "AWS Foundational Security Best Practices", "name": "RDS.11", "sourced": True} in first[
        "controls"
    ]
    assert [one["id"] for one in found["rules"]] == [rule.id for rule in RULES]
    assert {one["verdict"] for one in found["rules"]} == {"absent", "clean", "findings"}


def test_what_holds_data_and_no_rule_looks_at_is_told(tmp_path: Path) -> None:
    plan = _good().add("aws_redshift_cluster.facts", {"cluster_identifier": "facts"})

    done = passed(lifeboat("scan", "--plan", _file(tmp_path, plan)))

    told = "no rule looks at Redshift: nothing is said of the copies of aws_redshift_cluster (1 in the plan)"
    assert told in " ".join(done.stdout.split())


def test_buckets_and_tables_that_say_nothing_of_their_data_are_told(tmp_path: Path) -> None:
    plan = (
        _good()
        .add("aws_s3_bucket.uploads", {"bucket": "customer-uploads"})
        .add("aws_s3_bucket.logs", {"bucket": "logs", "tags": {"lifeboat:data": "false"}})
        .add("aws_s3_bucket.dumps", {"bucket": "app-dumps"})
        .add("aws_dynamodb_table.lock", {"name": "locks", "hash_key": "LockID"})
    )

    done = lifeboat("scan", "--plan", _file(tmp_path, plan), "-o", "json")

    assert [text for text in json.loads(done.stdout)["remarks"] if "lifeboat:data" in text] == [
        "nothing is said of the copies of aws_s3_bucket without the tag lifeboat:data (1 in the plan,"
        " aws_s3_bucket.uploads for one)"
    ]


def test_one_resource_is_not_called_resources(tmp_path: Path) -> None:
    plan = PlanFile().add("aws_ebs_volume.data", {"size": 1, "encrypted": True})

    done = passed(lifeboat("scan", "--plan", _file(tmp_path, plan), "--report-dir", str(tmp_path)), 1)

    assert f"failed: {len(RULES)} rules on 1 resource: " in done.stdout
    assert f" 1 resource, {len(RULES)} rules, " in (tmp_path / "summary.md").read_text()


def test_what_could_not_be_judged_is_not_valid_whatever_else_was_found(tmp_path: Path) -> None:
    plan = database(backup_retention_period=later("aws_ssm_parameter.days.value"), skip_final_snapshot=True)

    name = _file(tmp_path, plan)

    done = passed(lifeboat("scan", "--plan", name), 2)

    assert "skip_final_snapshot is true" in done.stdout
    assert "not valid: LB_RDS_1 on aws_db_instance.this" in done.stdout
    assert f"lifeboat scan --plan {name} --first-apply" in " ".join(done.stdout.split())
    assert "NOT VALID: " in done.stdout


def test_before_the_first_apply_it_is_listed(tmp_path: Path) -> None:
    plan = (
        PlanFile()
        .add("aws_backup_vault.main", {"name": "main"})
        .add("aws_backup_vault_policy.main", {"backup_vault_name": "main", "policy": later("aws_iam_role.glass.arn")})
    )
    plan.add("aws_backup_vault_lock_configuration.main", {"backup_vault_name": "main", "min_retention_days": 7})
    name = _file(tmp_path, plan)

    passed(lifeboat("scan", "--plan", name), 2)
    done = passed(lifeboat("scan", "--plan", name, "--first-apply"))

    assert "put off until it is built: LB_VAULT_2 on aws_backup_vault.main" in done.stdout


@pytest.mark.parametrize("output", ["table", "json"])
def test_no_value_of_a_variable_or_password_is_printed(tmp_path: Path, output: str) -> None:
    plan = database(password=known(_SECRET, "var.password"), manage_master_user_password=None)
    plan.variables |= {"password": _SECRET, "min_retention_days": 15}
    plan.check("check", "check.token", "fail", f"the token {_SECRET} was refused")
    plan.add("aws_db_instance.literal", {"identifier": "b", "password": _SECRET, "tags": {"x": _SECRET}})

    reports = tmp_path / "reports"
    done = passed(lifeboat("scan", "--plan", _file(tmp_path, plan), "-o", output, "--report-dir", str(reports)), 1)

    assert "LB_SEC_1" in done.stdout
    assert "LB_TF_1" in done.stdout
    assert _SECRET not in done.stdout + done.stderr
    assert [path.name for path in reports.iterdir() if _SECRET in path.read_text()] == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "error: there is no file"),
        (b"{}", "error: this is JSON and no plan"),
        (PlanFile().text(), "error: the plan is empty"),
        (b'{"password": "hunter2-canary"', "error: this is not JSON"),
        (b"", "error: this is not JSON"),
        (b'["hunter2-canary"]', "error: this is JSON and no plan"),
        (b"PK\x03\x04hunter2-canary", "error: this is a saved plan, not its JSON"),
        (b'{"format_version": "1.0", "values": {"x": "hunter2-canary"}}', "error: this is a state, not a plan"),
        (database().text(format_version="2.0"), "error: the plan has the unknown format version '2.0'; 1.x is known"),
        (database().text(format_version="0.2"), "error: the plan has the unknown format version '0.2'; 1.x is known"),
        (database().text(format_version=None), "error: the plan has the unknown format version None; 1.x is known"),
        (database().text(errored=True), "error: Terraform failed while it made this plan"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_plan_is_one_error(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_bytes(content)

    done = passed(lifeboat("scan", "--plan", str(path)), 2)

    assert said in done.stderr
    assert "next: " in done.stderr
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
    assert _SECRET not in done.stderr
    assert done.stdout == ""


def test_a_folder_is_no_plan(tmp_path: Path) -> None:
    done = passed(lifeboat("scan", "--plan", str(tmp_path)), 2)

    assert "is a folder; the JSON of a plan is wanted" in done.stderr


def test_a_plan_that_cannot_be_read_is_no_finding(tmp_path: Path) -> None:
    name = f"{_file(tmp_path, _good())}/x"

    done = passed(lifeboat("scan", "--plan", name), 2)

    assert f"error: cannot read {name}: Not a directory" in done.stderr
    assert "next: " in done.stderr
    assert done.stdout == ""


def test_a_plan_without_a_name_is_no_folder() -> None:
    done = passed(lifeboat("scan", "--plan", ""), 2)

    assert "error: --plan names no file\n" in done.stderr


@pytest.mark.parametrize("output", ["table", "json"])
def test_what_cannot_be_printed_is_no_finding(tmp_path: Path, output: str) -> None:
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{CLEAN['PATH']}"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            ["lifeboat", "scan", "--plan", _file(tmp_path, _good()), "-o", output],
            cwd="/",
            env={**CLEAN, "PATH": path},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )

    assert done.returncode == 2
    assert b"error: cannot write the output to stdout: No space left on device" in done.stderr


def test_a_scan_without_a_plan_and_without_a_checkout_says_so() -> None:
    done = passed(lifeboat("scan"), 2)

    assert "error: " in done.stderr
    assert "next: " in done.stderr
    assert done.stdout == ""


def test_a_plan_that_is_there_is_not_made_offline(tmp_path: Path) -> None:
    done = passed(lifeboat("scan", "--plan", _file(tmp_path, _good()), "--offline"), 2)

    assert "--plan names one that is there" in done.stderr


def test_a_plan_is_not_judged_with_an_environments_waivers(tmp_path: Path) -> None:
    name = _file(tmp_path, _good())

    done = passed(lifeboat("scan", "--plan", name, "-e", "production"), 2)

    assert "error: --plan is a plan already, and --env makes one: only one of them can be judged" in done.stderr
    assert f"next: lifeboat scan --plan {name}, or lifeboat scan -e production" in done.stderr
    assert done.stdout == ""


def test_an_environment_of_the_shell_is_not_meant_by_a_plan(tmp_path: Path) -> None:
    done = command_line.run(Path("/"), "scan", "--plan", _file(tmp_path, _good()), env={**CLEAN, "ENV": "production"})

    assert "passed: " in passed(done).stdout


def test_the_reports_of_a_plan_go_where_they_are_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "reports"

    passed(
        lifeboat("scan", "--plan", _file(tmp_path, database(backup_retention_period=1)), "--report-dir", str(folder)), 1
    )

    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o077] == []
    found = json.loads((folder / "scan.json").read_text())
    assert "LB_RDS_1" in {one["rule"] for one in found["findings"]}


def test_reports_that_cannot_be_written_are_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = passed(lifeboat("scan", "--plan", _file(tmp_path, _good()), "--report-dir", str(tmp_path / "file")), 2)

    assert "error: no reports can be written to " in done.stderr
    assert "next: name another folder: --report-dir DIR" in done.stderr


def test_a_huge_plan_is_judged_whole(tmp_path: Path) -> None:
    plan = PlanFile()
    for number in range(5_000):
        plan.add(f"aws_ebs_volume.data{number}", {"size": 1, "encrypted": True, "tags": {"number": str(number)}})

    done = passed(lifeboat("scan", "--plan", _file(tmp_path, plan), "-o", "json"), 1)

    found = json.loads(done.stdout)
    assert found["resources"] == 5_000
    assert sum(one["rule"] == "LB_COV_1" for one in found["findings"]) == 5_000
    assert len({one["fingerprint"] for one in found["findings"]}) == len(found["findings"])


def test_what_commands_a_terminal_is_not_printed(tmp_path: Path) -> None:
    plan = PlanFile().add("aws_ebs_volume.data", {"size": 1}, key="\x1b[2J")

    done = passed(lifeboat("scan", "--plan", _file(tmp_path, plan)), 1)

    assert "\x1b" not in done.stdout


def test_every_rule_is_listed() -> None:
    shown = passed(lifeboat("policy", "list")).stdout
    found = json.loads(passed(lifeboat("policy", "list", "-o", "json")).stdout)

    assert [rule.id for rule in RULES if rule.id not in shown] == []
    assert [(one["id"], one["title"]) for one in found] == [(rule.id, rule.title) for rule in RULES]


@pytest.mark.parametrize("name", ["LB_RDS_99", "LB_NOPE", "x"])
def test_no_rule_is_guessed_that_is_no_nearer_than_any_other(name: str) -> None:
    done = passed(lifeboat("policy", "explain", name), 2)

    assert "next: lifeboat policy list shows every rule\n" in done.stderr


def test_a_check_of_checkov_is_known_as_such() -> None:
    done = passed(lifeboat("policy", "explain", "CKV_AWS_293"), 2)

    assert "next: it is a check of checkov's own: terraform/policies/builtin.toml says why it is asked" in done.stderr


def test_a_rule_is_explained_in_whatever_case_it_is_typed() -> None:
    done = passed(lifeboat("policy", "explain", "lb_rds_1"))

    rule = next(rule for rule in RULES if rule.id == "LB_RDS_1")
    for words in (rule.title, rule.why, rule.change, "RDS.11", "REL09-BP03", "high"):
        assert words in done.stdout


def test_a_rule_that_is_not_there_names_the_nearest() -> None:
    done = passed(lifeboat("policy", "explain", "LB_RSD_1"), 2)

    assert "there is no rule LB_RSD_1" in done.stderr
    assert "next: lifeboat policy explain LB_RDS_1\n" in done.stderr
