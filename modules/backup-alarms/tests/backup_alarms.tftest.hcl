mock_provider "aws" {
  override_during = plan

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:app-test-alarms" }
  }
}

mock_provider "aws" {
  alias           = "dr"
  override_during = plan

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:app-test-alarms" }
  }
}

variables {
  name        = "app-test"
  environment = "test"
  account_id  = "123456789012"
  region      = "eu-west-1"
  dr_region   = "eu-central-1"

  watch = {
    databases       = { g1 = "app-test-g1", g2 = "app-test-g2" }
    vaults          = { primary = "app-test-backups", dr = "app-test-backups-dr" }
    backup_plan_ids = { backups = "plan-1" }
    dlm_policy_ids  = { snapshots = "policy-1", images = "policy-2" }
    kms_key_arns    = { database = "arn:aws:kms:eu-west-1:123456789012:key/k1" }
    dr_kms_key_arns = { database = "arn:aws:kms:eu-central-1:123456789012:key/k2" }
    buckets         = { dumps = "app-test-dumps-123456789012-eu-west-1" }
    dr_buckets      = { dumps = "app-test-dumps-123456789012-eu-central-1" }

    replications = {
      dumps = { source_bucket = "app-test-dumps-123456789012-eu-west-1", destination_bucket = "app-test-dumps-123456789012-eu-central-1", rule_id = "to-eu-central-1" }
    }
  }
}

run "every_alarm_tells_the_topic_and_names_what_it_measures" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.this :
      alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:123456789012:app-test-alarms"]) &&
      alarm.ok_actions == alarm.alarm_actions && alarm.actions_enabled != false && length(alarm.dimensions) > 0
    ])
    error_message = "An alarm tells nobody, or measures nothing."
  }
}

run "freshness_alarms_ring_without_data_and_failure_alarms_do_not" {
  command = plan

  assert {
    condition = alltrue([
      for key, alarm in aws_cloudwatch_metric_alarm.this :
      alarm.treat_missing_data == (strcontains(key, "-stale") || key == "status-red" ? "breaching" : "notBreaching")
    ])
    error_message = "An alarm takes missing data the wrong way."
  }

  assert {
    condition = toset([for key in keys(aws_cloudwatch_metric_alarm.this) : key if strcontains(key, "-stale")]) == toset([
      "database-stale", "dumps-stale", "image-stale", "instance-volume-stale", "state-stale", "vault-stale",
      "proof-stale-database", "proof-stale-dumps", "proof-stale-image",
      "drill-stale-database", "drill-stale-full", "drill-stale-instance", "drill-stale-state",
    ])
    error_message = "The freshness alarms are other ones."
  }
}

run "ages_follow_from_the_objectives" {
  command = plan

  variables {
    objectives = { rpo_hours = 6, rto_hours = 1 }
  }

  assert {
    condition = alltrue([
      for kind in ["database", "instance-volume", "vault", "dumps", "state"] :
      aws_cloudwatch_metric_alarm.this["${kind}-stale"].threshold == 21600 && output.freshness_metrics["${kind}-stale"].max_seconds == 21600
    ])
    error_message = "A copy older than the RPO does not ring."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["image-stale"].threshold == 32 * 86400 && aws_cloudwatch_metric_alarm.this["drill-stale-full"].threshold == 92 * 86400
    error_message = "Images or drills may get older than they should."
  }
}

run "the_last_drill_is_held_against_the_objectives" {
  command = plan

  variables {
    objectives = { rpo_hours = 6, rto_hours = 1 }
  }

  assert {
    condition = (
      alltrue([for scope in ["database", "instance", "full", "state"] : aws_cloudwatch_metric_alarm.this["rto-missed-${scope}"].threshold == 3600]) &&
      alltrue([for scope in ["database", "full"] : aws_cloudwatch_metric_alarm.this["rpo-missed-${scope}"].threshold == 21600]) &&
      aws_cloudwatch_metric_alarm.this["rto-missed-full"].metric_name == "MeasuredRtoSeconds" &&
      aws_cloudwatch_metric_alarm.this["rpo-missed-full"].metric_name == "MeasuredRpoSeconds"
    )
    error_message = "A drill that missed an objective does not ring."
  }
}

run "what_must_be_0_rings_above_it" {
  command = plan

  assert {
    condition = alltrue([
      for key, metric in { status-red = "StatusChecksRed", status-unknown = "StatusChecksUnknown", drill-leaked = "LeakedResources" } :
      aws_cloudwatch_metric_alarm.this[key].metric_name == metric && aws_cloudwatch_metric_alarm.this[key].threshold == 0 &&
      jsonencode(aws_cloudwatch_metric_alarm.this[key].dimensions) == jsonencode({ Name = "app-test" })
    ])
    error_message = "A check that is red, or a leak, does not ring."
  }
}

run "every_rule_takes_the_events_of_a_test_and_those_of_one_service" {
  command = plan

  assert {
    condition = alltrue([
      for rule in concat(values(aws_cloudwatch_event_rule.primary), values(aws_cloudwatch_event_rule.dr)) :
      length(jsondecode(rule.event_pattern).source) == 2 && startswith(jsondecode(rule.event_pattern).source[0], "aws.") &&
      jsondecode(rule.event_pattern).source[1] == "lifeboat.test" && length(jsondecode(rule.event_pattern).detail) > 0
    ])
    error_message = "A rule cannot be tested, or takes any event of a test."
  }
}

run "the_dashboard_shows_every_metric_with_its_limit_and_every_alarm" {
  command = plan

  variables {
    objectives = { rpo_hours = 6, rto_hours = 2 }
  }

  assert {
    condition = length(setsubtract(
      ["BackupAgeSeconds", "RestoreProofAgeSeconds", "DrillAgeSeconds", "BackupBytes", "MeasuredRtoSeconds", "MeasuredRpoSeconds", "StatusChecksRed", "StatusChecksUnknown", "LeakedResources"],
      flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [for metric in try(widget.properties.metrics, []) : metric[1] if length(metric) > 1]])
    )) == 0
    error_message = "A metric is not on the dashboard."
  }

  assert {
    condition = (
      contains(flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [for line in try(widget.properties.annotations.horizontal, []) : "${line.label} ${line.value}"]]), "RPO 6") &&
      contains(flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [for line in try(widget.properties.annotations.horizontal, []) : "${line.label} ${line.value}"]]), "RTO 120")
    )
    error_message = "The objectives are not drawn where they are."
  }

  assert {
    condition     = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.x + widget.width <= 24])
    error_message = "A widget does not fit in the 24 columns."
  }

  assert {
    condition     = length([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget if widget.type == "alarm"][0].properties.alarms) == length([for key in keys(aws_cloudwatch_metric_alarm.this) : key if !startswith(key, "database-storage-low")])
    error_message = "An alarm is not on the dashboard."
  }
}

run "no_alarm_looks_back_more_than_a_day" {
  command = plan

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.period * alarm.evaluation_periods <= 86400 && alarm.datapoints_to_alarm == alarm.evaluation_periods])
    error_message = "CloudWatch refuses an alarm that looks back more than a day."
  }
}

run "a_dump_job_rings_unless_it_ended_by_itself_with_0" {
  command = plan

  variables {
    watch = {
      databases       = { g1 = "app-test-g1" }
      vaults          = { primary = "app-test-backups", dr = "app-test-backups-dr" }
      backup_plan_ids = { backups = "plan-1" }
      dlm_policy_ids  = { snapshots = "policy-1" }
      kms_key_arns    = { database = "arn:aws:kms:eu-west-1:123456789012:key/k1" }
      dr_kms_key_arns = { database = "arn:aws:kms:eu-central-1:123456789012:key/k2" }
      buckets         = { dumps = "app-test-dumps-123456789012-eu-west-1" }
      dr_buckets      = { dumps = "app-test-dumps-123456789012-eu-central-1" }
      dump_job = {
        cluster_arn   = "arn:aws:ecs:eu-west-1:123456789012:cluster/app-test-dump"
        family        = "app-test-dump"
        not_run_queue = "app-test-dump-not-run"
      }
    }
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_event_rule.primary["dump-job-failed"].event_pattern).detail["$or"][0].stopCode[0]["anything-but"][0] == "EssentialContainerExited" &&
      jsondecode(aws_cloudwatch_event_rule.primary["dump-job-failed"].event_pattern).detail["$or"][1].containers.exitCode[0]["anything-but"][0] == 0 &&
      jsondecode(aws_cloudwatch_event_rule.primary["dump-job-failed"].event_pattern).detail.group[0] == "family:app-test-dump"
    )
    error_message = "A dump job can fail unheard."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["dump-job-not-run"].dimensions["QueueName"] == "app-test-dump-not-run" && aws_cloudwatch_metric_alarm.this["dump-job-not-run"].threshold == 0
    error_message = "A run that never began does not ring."
  }
}

run "without_a_dump_job_nothing_waits_for_one" {
  command = plan

  assert {
    condition     = !contains(keys(aws_cloudwatch_event_rule.primary), "dump-job-failed") && !contains(keys(aws_cloudwatch_metric_alarm.this), "dump-job-not-run")
    error_message = "A job that does not exist is watched."
  }
}

run "every_database_and_every_replication_has_its_alarms" {
  command = plan

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["database-storage-low-g2"].dimensions["DBInstanceIdentifier"] == "app-test-g2" &&
      aws_cloudwatch_metric_alarm.this["replication-failed-dumps"].dimensions["RuleId"] == "to-eu-central-1" &&
      aws_cloudwatch_metric_alarm.this["replication-slow-dumps"].threshold == 900
    )
    error_message = "A database or a replication is not watched."
  }
}

run "long_jobs_ring_after_the_hours_given" {
  command = plan

  variables {
    limits = { job_hours = 6 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["backup-job-slow"].evaluation_periods == 6 && aws_cloudwatch_metric_alarm.this["copy-job-slow"].statistic == "Minimum"
    error_message = "A job that never ends does not ring."
  }
}

run "every_rule_has_a_target_in_its_region_that_says_what_to_do" {
  command = plan

  assert {
    condition = (
      keys(aws_cloudwatch_event_target.primary) == keys(aws_cloudwatch_event_rule.primary) &&
      keys(aws_cloudwatch_event_target.dr) == keys(aws_cloudwatch_event_rule.dr) &&
      alltrue([for target in aws_cloudwatch_event_target.primary : target.arn == "arn:aws:sns:eu-west-1:123456789012:app-test-alarms"]) &&
      alltrue([for target in aws_cloudwatch_event_target.dr : target.arn == "arn:aws:sns:eu-central-1:123456789012:app-test-alarms"])
    )
    error_message = "A rule rings nowhere, or in the other region."
  }

  assert {
    condition = alltrue([
      for slug, target in merge(aws_cloudwatch_event_target.primary, aws_cloudwatch_event_target.dr) :
      endswith(jsondecode(target.input_transformer[0].input_template), "What to do: docs/runbooks/alarm-${slug}.md")
    ])
    error_message = "A message does not say what to do, or is not the JSON text that EventBridge wants."
  }

  assert {
    condition = alltrue([
      for target in merge(aws_cloudwatch_event_target.primary, aws_cloudwatch_event_target.dr) :
      toset(flatten(regexall("<([a-z]+)>", target.input_transformer[0].input_template))) == toset(keys(target.input_transformer[0].input_paths))
    ])
    error_message = "A message has a placeholder without a value, or a value without a place."
  }
}

run "what_may_happen_in_both_regions_is_heard_in_both" {
  command = plan

  assert {
    condition = toset(keys(aws_cloudwatch_event_rule.dr)) == toset([
      "bucket-protection-changed", "kms-key-disabled", "restore-job-failed", "snapshot-failed", "vault-tampering",
    ])
    error_message = "The DR region listens to something else."
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_event_rule.dr["vault-tampering"].event_pattern).detail.requestParameters.backupVaultName[0] == "app-test-backups-dr" &&
      jsonencode(jsondecode(aws_cloudwatch_event_rule.dr["kms-key-disabled"].event_pattern).detail.requestParameters.keyId) == jsonencode(["arn:aws:kms:eu-central-1:123456789012:key/k2", "k2"]) &&
      jsondecode(aws_cloudwatch_event_rule.dr["bucket-protection-changed"].event_pattern).detail.requestParameters.bucketName[0] == "app-test-dumps-123456789012-eu-central-1"
    )
    error_message = "The DR region watches the other region's vault, key or bucket."
  }
}

run "a_key_is_watched_by_id_and_by_arn" {
  command = plan

  assert {
    condition = (
      length(setsubtract(["DisableKey", "ScheduleKeyDeletion"], jsondecode(aws_cloudwatch_event_rule.primary["kms-key-disabled"].event_pattern).detail.eventName)) == 0 &&
      jsonencode(jsondecode(aws_cloudwatch_event_rule.primary["kms-key-disabled"].event_pattern).detail.requestParameters.keyId) == jsonencode(["arn:aws:kms:eu-west-1:123456789012:key/k1", "k1"])
    )
    error_message = "A key can be disabled or deleted unheard."
  }
}

run "vault_tampering_covers_vault_lock_policy_and_backups" {
  command = plan

  assert {
    condition = length(setsubtract(
      ["DeleteBackupVault", "PutBackupVaultLockConfiguration", "DeleteBackupVaultLockConfiguration", "DeleteBackupVaultAccessPolicy", "DeleteRecoveryPoint"],
      jsondecode(aws_cloudwatch_event_rule.primary["vault-tampering"].event_pattern).detail.eventName
    )) == 0
    error_message = "A vault can be tampered with unheard."
  }
}

run "jobs_ring_by_state_and_restores_by_status" {
  command = plan

  assert {
    condition = (
      contains(jsondecode(aws_cloudwatch_event_rule.primary["backup-job-failed"].event_pattern).detail.state, "EXPIRED") &&
      contains(jsondecode(aws_cloudwatch_event_rule.primary["copy-job-failed"].event_pattern).detail.state, "FAILED") &&
      contains(jsondecode(aws_cloudwatch_event_rule.primary["restore-job-failed"].event_pattern).detail.status, "FAILED")
    )
    error_message = "A failed job is not heard."
  }
}

run "a_policy_in_error_is_heard_by_id_and_by_arn" {
  command = plan

  assert {
    condition     = contains(jsondecode(aws_cloudwatch_event_rule.primary["lifecycle-policy-error"].event_pattern).detail.policy_id, "arn:aws:dlm:eu-west-1:123456789012:policy/policy-2")
    error_message = "A lifecycle policy can fail unheard."
  }
}

run "rds_tells_of_backups_and_deletion_in_one_subscription" {
  command = plan

  assert {
    condition     = length(setsubtract(["backup", "deletion", "failure", "restoration", "low storage"], aws_db_event_subscription.databases.event_categories)) == 0
    error_message = "RDS does not tell of backups or of a deletion."
  }

  assert {
    condition     = length(coalesce(aws_db_event_subscription.databases.source_ids, [])) == 0
    error_message = "A generation that is restored later is not watched until the next apply."
  }
}

run "services_may_publish_and_subscribers_are_told_from_both_regions" {
  command = plan

  variables {
    subscribers = ["on-call@example.com"]
  }

  assert {
    condition = alltrue([
      for policy in [aws_sns_topic_policy.primary.policy, aws_sns_topic_policy.dr.policy] :
      length(setsubtract(
        ["cloudwatch.amazonaws.com", "events.rds.amazonaws.com", "events.amazonaws.com", "backup.amazonaws.com"],
        flatten([for statement in jsondecode(policy).Statement : statement.Principal.Service if statement.Effect == "Allow"])
      )) == 0
    ])
    error_message = "A service may not publish to the topic: its alarms are lost."
  }

  assert {
    condition     = aws_sns_topic_subscription.primary["on-call@example.com"].topic_arn != aws_sns_topic_subscription.dr["on-call@example.com"].topic_arn
    error_message = "A subscriber hears one region only."
  }

  assert {
    condition     = aws_backup_vault_notifications.dr.sns_topic_arn == "arn:aws:sns:eu-central-1:123456789012:app-test-alarms" && contains(aws_backup_vault_notifications.primary.backup_vault_events, "BACKUP_JOB_COMPLETED")
    error_message = "A vault does not tell of its failed jobs."
  }
}

run "refuses_production_without_subscribers" {
  command = plan

  variables {
    environment = "production"
  }

  expect_failures = [var.subscribers]
}

run "refuses_a_subscriber_that_is_no_address" {
  command = plan

  variables {
    subscribers = ["on-call"]
  }

  expect_failures = [var.subscribers]
}

run "refuses_an_age_above_the_rpo" {
  command = plan

  variables {
    limits = { dumps_hours = 25 }
  }

  expect_failures = [var.limits]
}

run "refuses_to_watch_a_job_longer_than_a_day" {
  command = plan

  variables {
    limits = { job_hours = 25 }
  }

  expect_failures = [var.limits]
}

run "refuses_to_watch_nothing" {
  command = plan

  variables {
    watch = {
      databases       = {}
      vaults          = { primary = "app-test-backups", dr = "app-test-backups-dr" }
      backup_plan_ids = { backups = "plan-1" }
      dlm_policy_ids  = { snapshots = "policy-1" }
      kms_key_arns    = { database = "arn:aws:kms:eu-west-1:123456789012:key/k1" }
      dr_kms_key_arns = { database = "arn:aws:kms:eu-central-1:123456789012:key/k2" }
      buckets         = { dumps = "app-test-dumps-123456789012-eu-west-1" }
      dr_buckets      = { dumps = "app-test-dumps-123456789012-eu-central-1" }
    }
  }

  expect_failures = [var.watch]
}

run "refuses_a_dr_region_that_is_the_same" {
  command = plan

  variables {
    dr_region = "eu-west-1"
  }

  expect_failures = [var.dr_region]
}
