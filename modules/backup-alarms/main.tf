# Who is told, and the alarms. A failure alarm is quiet without data (nothing ran, nothing failed); a freshness alarm rings
# without data, because whoever should measure the age is down too.

locals {
  metric_namespace = "Lifeboat"
  page             = "docs/runbooks/alarm-%s.md"

  _gb = 1024 * 1024 * 1024

  # Age of the newest copy of each kind that lifeboat has found sound, written every hour.
  freshness = {
    database        = { max_hours = coalesce(var.limits.database_hours, var.objectives.rpo_hours), of = "second that the database can be restored to" }
    instance-volume = { max_hours = coalesce(var.limits.instance_volume_hours, var.objectives.rpo_hours), of = "snapshot of the instance's volume" }
    vault           = { max_hours = coalesce(var.limits.vault_hours, var.objectives.rpo_hours), of = "recovery point in the backup vaults" }
    dumps           = { max_hours = coalesce(var.limits.dumps_hours, var.objectives.rpo_hours), of = "database dump" }
    state           = { max_hours = coalesce(var.limits.state_hours, var.objectives.rpo_hours), of = "look at the Terraform state and its copy" }
    image           = { max_hours = var.limits.image_days * 24, of = "image of the instance" }
    drill           = { max_hours = var.limits.drill_days * 24, of = "successful drill" }
  }

  _freshness_alarms = {
    for kind, limit in local.freshness : "${kind}-stale" => {
      slug       = "${kind}-stale"
      says       = "The newest ${limit.of} is older than ${limit.max_hours} hours, or nothing has measured it for 3 hours."
      namespace  = local.metric_namespace
      metric     = "BackupAgeHours"
      dimensions = { Kind = kind, Name = var.name }
      statistic  = "Minimum"
      comparison = "GreaterThanThreshold"
      threshold  = limit.max_hours
      period     = 3600
      periods    = 3 # a daily copy starts up to an hour late and takes its time
      missing    = "breaching"
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

  alarms = merge(local._freshness_alarms, local._failure_alarms)

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
