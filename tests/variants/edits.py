"""One defect at a time, edited into the modules or the stack's root, with the rules that have to find it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_DATABASE = "modules/database/main.tf"
_INSTANCE = "modules/app-instance/main.tf"
_PLAN, _VAULTS = "modules/backup-plan/plan.tf", "modules/backup-plan/main.tf"
_DLM = "modules/ebs-lifecycle/main.tf"
_DUMPS, _REPLICA = "modules/dump-bucket/main.tf", "modules/dump-bucket/replica.tf"
_ALARMS, _TOPICS = "modules/backup-alarms/main.tf", "modules/backup-alarms/topics.tf"
_JOB = "modules/dump-job/main.tf"
_STATE = "modules/state-backend/main.tf"
_SUNDAYS, _WEEKDAYS = "cron(0 5 ? * SUN *)", "cron(0 5 ? * MON-FRI *)"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change of one file of the tree."""

    file: str
    change: Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A defect: the rules that find it, what it is, and the edit that makes it; of the root stack or state."""

    rules: frozenset[str]
    what: str
    edit: Edit
    root: str = "stack"

    @property
    def id(self) -> str:
        """Return the name of the test."""
        return f"{'+'.join(sorted(self.rules))}: {self.what}"

    def apply(self, tree: Path) -> Callable[[], None]:
        """Edit a tree, and return what puts it back."""
        path = tree / self.edit.file
        before = path.read_text(encoding="utf-8")
        after = self.edit.change(before)
        assert after != before, self.id
        path.write_text(after, encoding="utf-8")
        return lambda: path.write_text(before, encoding="utf-8") and None


def _for(file: str, old: str, new: str) -> Edit:
    """Return the edit that writes a text for another one, which stands there once."""

    def change(text: str) -> str:
        assert text.count(old) == 1, f"{file}: {old!r} stands there {text.count(old)} times"
        return text.replace(old, new)

    return Edit(file=file, change=change)


def _matching(file: str, pattern: str, new: str) -> Edit:
    """Return the edit that writes a text for the first that a pattern matches; dots match line ends."""

    def change(text: str) -> str:
        changed, count = re.subn(pattern, new, text, count=1, flags=re.DOTALL)
        assert count == 1, f"{file}: {pattern!r} is not there"
        return changed

    return Edit(file=file, change=change)


def _none(file: str, kind: str, name: str) -> Edit:
    """Return the edit that makes none of a resource."""
    return _for(file, f'resource "{kind}" "{name}" {{\n', f'resource "{kind}" "{name}" {{\n  count = 0\n\n')


def _in_dr(file: str, kind: str, old: str, new: str) -> Edit:
    """Return the edit of a line in the resource of a kind that is called dr."""
    return _matching(file, rf'(resource "{kind}" "dr" \{{.*?){re.escape(old)}', rf"\g<1>{new}")


def _of(rules: str, what: str, edit: Edit, root: str = "stack") -> Variant:
    return Variant(rules=frozenset(rules.split()), what=what, edit=edit, root=root)


def _schedule(cron: str) -> Edit:
    return _for(_PLAN, "schedule                 = rule.value.schedule", f'schedule                 = "{cron}"')


def _without_alarm(name: str) -> Edit:
    kept = f'{{ for key, alarm in local._freshness_alarms : key => alarm if key != "{name}" }}'
    return _for(_ALARMS, "alarms = merge(local._freshness_alarms,", f"alarms = merge({kept},")


VARIANTS = (
    _of(
        "LB_RDS_1",
        "backups for six days",
        _for(_DATABASE, "backup_retention_period  = var.backup.retention_days", "backup_retention_period = 6"),
    ),
    _of(
        "LB_RDS_2",
        "windows that overlap",
        _for(
            _DATABASE,
            "maintenance_window       = var.backup.maintenance_window",
            'maintenance_window = "sun:03:30-sun:04:30"',
        ),
    ),
    _of("LB_RDS_2", "no backup window", _for(_DATABASE, "backup_window            = var.backup.backup_window", "")),
    _of(
        "LB_RDS_3",
        "no final snapshot",
        _for(_DATABASE, "skip_final_snapshot       = var.teardown", "skip_final_snapshot = true"),
    ),
    _of(
        "LB_RDS_3",
        "backups deleted with the database",
        _for(_DATABASE, "delete_automated_backups = false", "delete_automated_backups = true"),
    ),
    _of(
        "LB_RDS_4",
        "no dumps at the weekend",
        _for(_JOB, "schedule_expression          = local.schedule", f'schedule_expression = "{_WEEKDAYS}"'),
    ),
    _of(
        "LB_RDS_4",
        "the schedule of the dumps disabled",
        _for(
            _JOB,
            "schedule_expression          = local.schedule",
            'schedule_expression = local.schedule\n  state = "DISABLED"',
        ),
    ),
    _of("LB_RDS_5", "AWS's own key", _for(_DATABASE, "  kms_key_id            = aws_kms_key.this.arn\n", "")),
    _of("LB_RDS_5", "no encryption", _for(_DATABASE, "storage_encrypted     = true", "storage_encrypted = false")),
    _of(
        "LB_COV_1",
        "the database in no selection",
        _for("terraform/stack/main.tf", "selection   = { arns = module.database.instance_arns }", "selection = {}"),
    ),
    _of(
        "LB_COV_1 LB_COV_3",
        "the instance without its tags",
        _for(
            _INSTANCE,
            'tags = merge(local._protect, { Name = "${var.name}-app", "lifeboat:backup" = "plan" })',
            'tags = { Name = "${var.name}-app" }',
        ),
    ),
    _of(
        "LB_COV_3",
        "a misspelt tag of the images",
        _for(
            _DLM,
            "target_tags    = var.target_tags",
            'target_tags = each.key == "images" ? { "lifeboat:protect" = "dayly" } : var.target_tags',
        ),
    ),
    _of("LB_PLAN_1", "backups on Sundays", _schedule(_SUNDAYS)),
    _of("LB_PLAN_1", "backups on weekdays", _schedule(_WEEKDAYS)),
    _of(
        "LB_PLAN_2 LB_PLAN_5",
        "recovery points for three days",
        _for(_PLAN, "delete_after       = rule.value.delete_after_days", "delete_after = 3"),
    ),
    _of("LB_PLAN_3", "no copies", _matching(_PLAN, r"\n      copy_action \{.*?\n      \}\n", "\n")),
    _of(
        "LB_PLAN_3",
        "copies in the same region",
        _for(
            _VAULTS, '_dr_vault_arn = "arn:aws:backup:${var.dr_region}', '_dr_vault_arn = "arn:aws:backup:${var.region}'
        ),
    ),
    _of("LB_PLAN_4", "backups in the maintenance window", _schedule("cron(45 0 * * ? *)")),
    _of(
        "LB_PLAN_4",
        "backups that may take longer than a day",
        _for(_PLAN, "completion_window        = rule.value.completion_window_minutes", "completion_window = 2000"),
    ),
    _of(
        "LB_PLAN_5",
        "recovery points for longer than the lock allows",
        _for(_PLAN, "delete_after       = rule.value.delete_after_days", "delete_after = 500"),
    ),
    _of(
        "LB_DLM_1",
        "snapshots disabled",
        _for(_DLM, 'state              = "ENABLED"', 'state = each.key == "snapshots" ? "DISABLED" : "ENABLED"'),
    ),
    _of(
        "LB_DLM_1",
        "weekly snapshots",
        _matching(
            _DLM,
            r"create_rule \{.*?\n        \}\n",
            f'create_rule {{\n cron_expression = each.key == "snapshots" ? "{_SUNDAYS}" : schedule.value.cron\n }}\n',
        ),
    ),
    _of(
        "LB_DLM_2",
        "snapshots for three days",
        _for(
            _DLM,
            "          interval      = schedule.value.keep_days\n",
            '          interval = each.key == "snapshots" ? 3 : schedule.value.keep_days\n',
        ),
    ),
    _of(
        "LB_DLM_2",
        "snapshots without tags",
        _for(
            _DLM, "        copy_tags = true\n\n        create_rule", "        copy_tags = false\n\n        create_rule"
        ),
    ),
    _of(
        "LB_DLM_2",
        "snapshots not copied",
        _matching(_DLM, r"\n        cross_region_copy_rule \{.*?\n        \}\n", "\n"),
    ),
    _of(
        "LB_DLM_2",
        "copies of snapshots not encrypted",
        _for(_DLM, "encrypted = schedule.value.copy.encrypted", "encrypted = false"),
    ),
    _of("LB_VAULT_1", "a vault without a lock", _none(_VAULTS, "aws_backup_vault_lock_configuration", "primary")),
    _of(
        "LB_VAULT_1",
        "the vault of the copies without a lock",
        _none(_VAULTS, "aws_backup_vault_lock_configuration", "dr"),
    ),
    _of(
        "LB_VAULT_1",
        "a lock without a least time",
        _in_dr(_VAULTS, "aws_backup_vault_lock_configuration", "min_retention_days  = var.lock.min_days", ""),
    ),
    _of("LB_VAULT_2", "a vault without a policy", _none(_VAULTS, "aws_backup_vault_policy", "primary")),
    _of("LB_VAULT_2", "recovery points may be deleted", _for(_VAULTS, '      "backup:DeleteRecoveryPoint",\n', "")),
    _of("LB_VAULT_3", "a vault that tells nobody", _none(_ALARMS, "aws_backup_vault_notifications", "primary")),
    _of(
        "LB_VAULT_3",
        "failed restores told to nobody",
        _in_dr(
            _ALARMS,
            "aws_backup_vault_notifications",
            '"COPY_JOB_FAILED", "RESTORE_JOB_COMPLETED"',
            '"COPY_JOB_FAILED"',
        ),
    ),
    _of(
        "LB_TEST_1",
        "no restore of the database tested",
        _for(_PLAN, "for_each = var.restore_testing.selections", "for_each = {}"),
    ),
    _of(
        "LB_TEST_2",
        "restores tested once a year",
        _for(_PLAN, "schedule_expression = var.restore_testing.schedule", 'schedule_expression = "cron(0 9 1 1 ? *)"'),
    ),
    _of(
        "LB_DUMP_1",
        "the replica of the dumps without versions",
        _for(_REPLICA, 'status = "Enabled"\n  }\n}', 'status = "Suspended"\n  }\n}'),
    ),
    _of(
        "LB_DUMP_2", "the replica without a lock", _none(_REPLICA, "aws_s3_bucket_object_lock_configuration", "replica")
    ),
    _of("LB_DUMP_2", "the replica open to the public", _none(_REPLICA, "aws_s3_bucket_public_access_block", "replica")),
    _of(
        "LB_ALARM_1",
        "alarms without an action",
        _for(_ALARMS, "alarm_actions       = [aws_sns_topic.primary.arn]", "alarm_actions = []"),
    ),
    _of(
        "LB_ALARM_1 LB_ALARM_3",
        "an alarm switched off",
        _for(
            _ALARMS,
            "alarm_actions       = [aws_sns_topic.primary.arn]",
            'alarm_actions = [aws_sns_topic.primary.arn]\n  actions_enabled = each.key != "vault-stale"',
        ),
    ),
    _of(
        "LB_ALARM_2",
        "quiet while nothing is measured",
        _for(_ALARMS, 'missing    = "breaching"', 'missing = "notBreaching"'),
    ),
    _of(
        "LB_ALARM_2",
        "the database's age told after two days",
        _for(
            _ALARMS,
            "threshold  = limit.max_seconds",
            'threshold = key == "database-stale" ? 172800 : limit.max_seconds',
        ),
    ),
    _of("LB_ALARM_3", "no alarm on the database's age", _without_alarm("database-stale")),
    _of("LB_ALARM_3", "no alarm on the dumps' age", _without_alarm("dumps-stale")),
    _of("LB_ALARM_3", "no alarm on the vaults' age", _without_alarm("vault-stale")),
    _of("LB_ALARM_2 LB_ALARM_4", "ten days of hours", _for(_ALARMS, "periods    = 3 #", "periods    = 240 #")),
    _of(
        "LB_ALARM_4",
        "nobody subscribes",
        _matching(_TOPICS, r"for_each = var\.subscribers", "for_each = toset([])"),
    ),
    _of(
        "LB_ENC_1",
        "a vault's key of the other region",
        _for(_VAULTS, "kms_key_arn   = aws_kms_key.primary.arn", "kms_key_arn = aws_kms_key.dr.arn"),
    ),
    _of(
        "LB_ENC_1",
        "dumps under no key of one's own",
        _for(
            _DUMPS,
            'sse_algorithm     = "aws:kms"\n      kms_master_key_id = aws_kms_key.dumps.arn',
            'sse_algorithm = "AES256"',
        ),
    ),
    _of(
        "LB_ENC_2",
        "a key that can be gone in a week",
        _matching(_VAULTS, "deletion_window_in_days = 30", "deletion_window_in_days = 7"),
    ),
    _of(
        "LB_ENC_2",
        "a key that is not rotated",
        _for(_DLM, "enable_key_rotation     = true", "enable_key_rotation = false"),
    ),
    _of(
        "LB_SEC_1",
        "a password in the configuration",
        _matching(
            _DATABASE,
            r"manage_master_user_password   = true\n  master_user_secret_kms_key_id = aws_kms_key.this.arn",
            'password = "hunter2-canary"',
        ),
    ),
    _of(
        "LB_REC_1",
        "an image that nothing checks",
        _matching(
            "modules/app-instance/variables.tf", r'(variable "ami_id" \{.*?)\n  validation \{.*?\n  \}\n', r"\g<1>"
        ),
    ),
    _of(
        "LB_TF_1",
        "a check that fails",
        _for(
            "terraform/stack/main.tf",
            'module "network" {\n',
            'check "objective" {\n  assert {\n    condition     = var.objectives.rpo_hours > 1000\n'
            '    error_message = "never"\n  }\n}\n\nmodule "network" {\n',
        ),
    ),
    _of(
        "LB_STATE_1",
        "the state without encryption",
        _none(_STATE, "aws_s3_bucket_server_side_encryption_configuration", "state"),
        "state",
    ),
    _of(
        "LB_STATE_2",
        "the lock table can be deleted",
        _for(_STATE, "deletion_protection_enabled = !var.teardown", "deletion_protection_enabled = false"),
        "state",
    ),
    _of(
        "LB_STATE_2",
        "the lock table cannot be recovered",
        _for(_STATE, "point_in_time_recovery {\n    enabled = true", "point_in_time_recovery {\n    enabled = false"),
        "state",
    ),
    _of(
        "LB_STATE_3",
        "superseded states for a month",
        _for(_STATE, "noncurrent_days = var.retention.superseded_days", "noncurrent_days = 30"),
        "state",
    ),
    _of(
        "LB_STATE_3",
        "a state that expires",
        _matching(_STATE, r"expired_object_delete_marker = true", "days = 365"),
        "state",
    ),
)
