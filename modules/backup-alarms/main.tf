# Who is told, and the alarms. A failure alarm is quiet without data (nothing ran, nothing failed); a freshness alarm rings
# without data, because whoever should measure the age is down too.

locals {
  metric_namespace = "Lifeboat"
  page             = "docs/runbooks/alarm-%s.md"

  _gb   = 1024 * 1024 * 1024
  _hour = 3600
  _day  = 86400

  # What `lifeboat status --publish` measures every hour, in seconds, and from when on each is too old: the newest copy of
  # each kind, the newest restore that proved one, and the newest drill of each scope (a full one counts for two more).
  freshness = merge(
    {
      for kind, limit in {
        database        = { hours = coalesce(var.limits.database_hours, var.objectives.rpo_hours), of = "second that the database can be restored to" }
        instance-volume = { hours = coalesce(var.limits.instance_volume_hours, var.objectives.rpo_hours), of = "snapshot of the instance's volume" }
        vault           = { hours = coalesce(var.limits.vault_hours, var.objectives.rpo_hours), of = "recovery point in the backup vaults" }
        dumps           = { hours = coalesce(var.limits.dumps_hours, var.objectives.rpo_hours), of = "database dump" }
        state           = { hours = coalesce(var.limits.state_hours, var.objectives.rpo_hours), of = "look at the Terraform state and its copy" }
        image           = { hours = var.limits.image_days * 24, of = "image of the instance" }
        } : "${kind}-stale" => {
        slug        = "${kind}-stale"
        metric      = "BackupAgeSeconds"
        kind        = kind
        max_seconds = limit.hours * local._hour
        says        = "The newest ${limit.of} is older than ${limit.hours} hours"
      }
    },
    {
      for kind, limit in {
        database = { days = var.limits.proof_days, of = "copy of the database" }
        dumps    = { days = var.limits.proof_days, of = "dump" }
        image    = { days = var.limits.image_proof_days, of = "image of the instance" }
        } : "proof-stale-${kind}" => {
        slug        = "proof-stale"
        metric      = "RestoreProofAgeSeconds"
        kind        = kind
        max_seconds = limit.days * local._day
        says        = "No ${limit.of} was proven by a restore for ${limit.days} days"
      }
    },
    {
      for scope in ["database", "instance", "full", "state"] : "drill-stale-${scope}" => {
        slug        = "drill-stale"
        metric      = "DrillAgeSeconds"
        kind        = scope
        max_seconds = var.limits.drill_days * local._day
        says        = "No drill of scope ${scope} has gone well for ${var.limits.drill_days} days"
      }
    },
  )

  _freshness_alarms = {
    for key, limit in local.freshness : key => {
      slug       = limit.slug
      says       = "${limit.says}, or nothing has measured it for 3 hours."
      namespace  = local.metric_namespace
      metric     = limit.metric
      dimensions = { Kind = limit.kind, Name = var.name }
      statistic  = "Minimum"
      comparison = "GreaterThanThreshold"
      threshold  = limit.max_seconds
      period     = local._hour
      periods    = 3 # a daily copy starts up to an hour late and takes its time
      missing    = "breaching"
    }
  }

  # What the last drill of a scope measured, against the objectives. Without a drill there is no value: drill-stale rings.
  _measured = merge(
    { for scope in ["database", "instance", "full", "state"] : "rto-missed-${scope}" => { slug = "rto-missed", metric = "MeasuredRtoSeconds", kind = scope, hours = var.objectives.rto_hours, says = "took longer than" } },
    { for scope in ["database", "full"] : "rpo-missed-${scope}" => { slug = "rpo-missed", metric = "MeasuredRpoSeconds", kind = scope, hours = var.objectives.rpo_hours, says = "would have lost more than" } },
  )

  _measured_alarms = {
    for key, one in local._measured : key => {
      slug       = one.slug
      says       = "The last drill of scope ${one.kind} ${one.says} ${one.hours} hours."
      namespace  = local.metric_namespace
      metric     = one.metric
      dimensions = { Kind = one.kind, Name = var.name }
      statistic  = "Maximum"
      comparison = "GreaterThanThreshold"
      threshold  = one.hours * local._hour
      period     = local._hour
      periods    = 1
      missing    = "notBreaching"
    }
  }

  # Counts that must be 0. The first one also rings when nobody counts: then nobody measures anything else either.
  _count_alarms = {
    for key, one in {
      status-red     = { metric = "StatusChecksRed", periods = 3, missing = "breaching", says = "Checks of `lifeboat status` have been red for 3 hours, or nothing has published them for as long." }
      status-unknown = { metric = "StatusChecksUnknown", periods = 3, missing = "notBreaching", says = "`lifeboat status` could not see something for 3 hours: a denied or failed call." }
      drill-leaked   = { metric = "LeakedResources", periods = 2, missing = "notBreaching", says = "Drills left resources behind." }
      } : key => {
      slug       = key
      says       = one.says
      namespace  = local.metric_namespace
      metric     = one.metric
      dimensions = { Name = var.name }
      statistic  = "Minimum"
      comparison = "GreaterThanThreshold"
      threshold  = 0
      period     = local._hour
      periods    = one.periods
      missing    = one.missing
    }
  }

  _job_alarms = {
    backup-job-failed = { metric = "NumberOfBackupJobsFailed", vault = var.watch.vaults.primary, statistic = "Sum", periods = 1, says = "An AWS Backup job has failed." }
    backup-job-slow   = { metric = "NumberOfBackupJobsRunning", vault = var.watch.vaults.primary, statistic = "Minimum", periods = var.limits.job_hours, says = "AWS Backup jobs have been running for ${var.limits.job_hours} hours without a pause." }
    copy-job-failed   = { metric = "NumberOfCopyJobsFailed", vault = var.watch.vaults.primary, statistic = "Sum", periods = 1, says = "A copy of a backup to ${var.dr_region} has failed." }
    copy-job-slow     = { metric = "NumberOfCopyJobsRunning", vault = var.watch.vaults.primary, statistic = "Minimum", periods = var.limits.job_hours, says = "Copies of backups to ${var.dr_region} have been running for ${var.limits.job_hours} hours without a pause." }
  }

  _failure_alarms = merge(
    {
      for slug, alarm in local._job_alarms : slug => {
        slug       = slug
        says       = alarm.says
        namespace  = "AWS/Backup"
        metric     = alarm.metric
        dimensions = { BackupVaultName = alarm.vault }
        statistic  = alarm.statistic
        comparison = "GreaterThanOrEqualToThreshold"
        threshold  = 1
        period     = 3600
        periods    = alarm.periods
        missing    = "notBreaching"
      }
    },
    {
      for generation, identifier in var.watch.databases : "database-storage-low-${generation}" => {
        slug       = "database-storage-low"
        says       = "Database ${generation} has less than ${var.watch.database_storage.free_gb} GB of free storage; full, it stops."
        namespace  = "AWS/RDS"
        metric     = "FreeStorageSpace"
        dimensions = { DBInstanceIdentifier = identifier }
        statistic  = "Average"
        comparison = "LessThanThreshold"
        threshold  = var.watch.database_storage.free_gb * local._gb
        period     = 300
        periods    = 3
        missing    = "notBreaching"
      }
    },
    {
      for what, rule in var.watch.replications : "replication-failed-${what}" => {
        slug       = "replication-failed"
        says       = "S3 could not copy objects of ${what} to ${var.dr_region}."
        namespace  = "AWS/S3"
        metric     = "OperationsFailedReplication"
        dimensions = { SourceBucket = rule.source_bucket, DestinationBucket = rule.destination_bucket, RuleId = rule.rule_id }
        statistic  = "Sum"
        comparison = "GreaterThanThreshold"
        threshold  = 0
        period     = 300
        periods    = 1
        missing    = "notBreaching"
      }
    },
    {
      for what, rule in var.watch.replications : "replication-slow-${what}" => {
        slug       = "replication-slow"
        says       = "Objects of ${what} have waited more than 15 minutes for their copy in ${var.dr_region}."
        namespace  = "AWS/S3"
        metric     = "ReplicationLatency"
        dimensions = { SourceBucket = rule.source_bucket, DestinationBucket = rule.destination_bucket, RuleId = rule.rule_id }
        statistic  = "Maximum"
        comparison = "GreaterThanThreshold"
        threshold  = 900 # seconds; what S3 replication time control promises
        period     = 300
        periods    = 3
        missing    = "notBreaching"
      }
    },
    {
      for job in var.watch.dump_job[*] : "dump-job-not-run" => {
        slug       = "dump-job-not-run"
        says       = "The schedule could not run the dump job; queue ${job.not_run_queue} says why."
        namespace  = "AWS/SQS"
        metric     = "ApproximateNumberOfMessagesVisible"
        dimensions = { QueueName = job.not_run_queue }
        statistic  = "Maximum"
        comparison = "GreaterThanThreshold"
        threshold  = 0
        period     = 300
        periods    = 1
        missing    = "notBreaching"
      }
    },
  )

  alarms = merge(local._freshness_alarms, local._measured_alarms, local._count_alarms, local._failure_alarms)

  pages = distinct([
    for slug in concat(values(local.alarms)[*].slug, keys(local.rules), ["database-event"]) : format(local.page, slug)
  ])
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.says} What to do: ${format(local.page, each.value.slug)}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.primary.arn]
  ok_actions          = [aws_sns_topic.primary.arn]

  depends_on = [aws_sns_topic_policy.primary]
}

# RDS itself tells of backups, deletion, failure and restores. One subscription: each takes the provider half a minute.
resource "aws_db_event_subscription" "databases" {
  name        = "${var.name}-database-event"
  sns_topic   = aws_sns_topic.primary.arn
  source_type = "db-instance"
  # No source_ids: a generation that a recovery restores rings from its first minute, before Terraform knows of it.

  event_categories = ["backup", "deletion", "failover", "failure", "low storage", "recovery", "restoration"]

  depends_on = [aws_sns_topic_policy.primary]
}

# BACKUP_JOB_COMPLETED is told of every end, failures too; subscribers are spared those that succeeded.
resource "aws_backup_vault_notifications" "primary" {
  backup_vault_name   = var.watch.vaults.primary
  sns_topic_arn       = aws_sns_topic.primary.arn
  backup_vault_events = ["BACKUP_JOB_COMPLETED", "COPY_JOB_FAILED", "RESTORE_JOB_COMPLETED"]

  depends_on = [aws_sns_topic_policy.primary]
}

resource "aws_backup_vault_notifications" "dr" {
  provider = aws.dr

  backup_vault_name   = var.watch.vaults.dr
  sns_topic_arn       = aws_sns_topic.dr.arn
  backup_vault_events = ["BACKUP_JOB_COMPLETED", "COPY_JOB_FAILED", "RESTORE_JOB_COMPLETED"]

  depends_on = [aws_sns_topic_policy.dr]
}
