# What rings at once: EventBridge rules. Those on API calls need a CloudTrail trail that records management events.

locals {
  # `lifeboat alarms test` puts events of this source with the same detail: sources that begin with aws. are AWS's own.
  test_source = "lifeboat.test"

  # An API names a key by id or by ARN; a pattern must know both.
  _keys = {
    for place, arns in { primary = var.watch.kms_key_arns, dr = var.watch.dr_kms_key_arns } : place =>
    concat(values(arns), [for arn in values(arns) : element(split("/", arn), 1)])
  }
  _dlm_policies = concat(
    values(var.watch.dlm_policy_ids),
    [for id in values(var.watch.dlm_policy_ids) : "arn:aws:dlm:${var.region}:${var.account_id}:policy/${id}"],
  )
  _buckets = { primary = values(var.watch.buckets), dr = values(var.watch.dr_buckets) }

  _caller = { who = "$.detail.userIdentity.arn", what = "$.detail.eventName", when = "$.detail.eventTime" }

  # A task that did its work is the only one that stopped by itself and with 0: what was ended, or never began, rings too.
  _dump_job_rules = {
    for job in var.watch.dump_job[*] : "dump-job-failed" => {
      patterns = {
        primary = jsonencode({
          source        = ["aws.ecs", local.test_source]
          "detail-type" = ["ECS Task State Change"]
          detail = {
            clusterArn = [job.cluster_arn]
            group      = [for family in concat([job.family], job.other_families) : "family:${family}"]
            lastStatus = ["STOPPED"]
            "$or" = [
              { stopCode = [{ "anything-but" = ["EssentialContainerExited"] }] },
              { containers = { exitCode = [{ "anything-but" = [0] }] } },
            ]
          }
        })
      }
      values  = { job = "$.detail.group", task = "$.detail.taskArn", status = "$.detail.containers[0].exitCode", why = "$.detail.stoppedReason" }
      message = "Job <job>, task <task>, ended with status <status>: <why>"
    }
  }

  # By slug: the pattern in each region where the rule listens, and the message with the values it takes from the event.
  rules = merge(local._dump_job_rules, {
    backup-job-failed = {
      patterns = {
        primary = jsonencode({
          source        = ["aws.backup", local.test_source]
          "detail-type" = ["Backup Job State Change"]
          detail        = { state = ["ABORTED", "EXPIRED", "FAILED"], backupVaultName = [var.watch.vaults.primary] }
        })
      }
      values  = { state = "$.detail.state", resource = "$.detail.resourceArn", job = "$.detail.backupJobId", why = "$.detail.statusMessage" }
      message = "Backup job <job> of <resource> ended <state>: <why>"
    }

    copy-job-failed = {
      patterns = {
        primary = jsonencode({
          source        = ["aws.backup", local.test_source]
          "detail-type" = ["Copy Job State Change"]
          detail = {
            state                     = ["FAILED", "PARTIAL"]
            destinationBackupVaultArn = ["arn:aws:backup:${var.dr_region}:${var.account_id}:backup-vault:${var.watch.vaults.dr}"]
          }
        })
      }
      values  = { state = "$.detail.state", resource = "$.detail.resourceArn", job = "$.detail.copyJobId", why = "$.detail.statusMessage" }
      message = "Copy job <job> of <resource> to the DR region ended <state>: <why>"
    }

    # A restore says status where the others say state, and names no vault.
    restore-job-failed = {
      patterns = {
        for place in ["primary", "dr"] : place => jsonencode({
          source        = ["aws.backup", local.test_source]
          "detail-type" = ["Restore Job State Change"]
          detail        = { status = ["ABORTED", "FAILED"] }
        })
      }
      values  = { state = "$.detail.status", type = "$.detail.resourceType", job = "$.detail.restoreJobId", why = "$.detail.statusMessage" }
      message = "Restore job <job> (<type>) ended <state>: <why>"
    }

    vault-tampering = {
      patterns = {
        for place, vault in var.watch.vaults : place => jsonencode({
          source        = ["aws.backup", local.test_source]
          "detail-type" = ["AWS API Call via CloudTrail"]
          detail = {
            eventSource = ["backup.amazonaws.com"]
            eventName = [
              "DeleteBackupVault",
              "DeleteBackupVaultAccessPolicy",
              "DeleteBackupVaultLockConfiguration",
              "DeleteBackupVaultNotifications",
              "DeleteRecoveryPoint",
              "DisassociateRecoveryPoint",
              "PutBackupVaultAccessPolicy",
              "PutBackupVaultLockConfiguration",
              "UpdateRecoveryPointLifecycle",
            ]
            requestParameters = { backupVaultName = [vault] }
          }
        })
      }
      values  = merge(local._caller, { vault = "$.detail.requestParameters.backupVaultName", error = "$.detail.errorCode" })
      message = "<who> called <what> on vault <vault> at <when> (refused: <error>)"
    }

    backup-plan-changed = {
      patterns = {
        primary = jsonencode({
          source        = ["aws.backup", local.test_source]
          "detail-type" = ["AWS API Call via CloudTrail"]
          detail = {
            eventSource       = ["backup.amazonaws.com"]
            eventName         = ["DeleteBackupPlan", "DeleteBackupSelection", "UpdateBackupPlan"]
            requestParameters = { backupPlanId = values(var.watch.backup_plan_ids) }
          }
        })
      }
      values  = merge(local._caller, { plan = "$.detail.requestParameters.backupPlanId" })
      message = "<who> called <what> on backup plan <plan> at <when>"
    }

    lifecycle-policy-error = {
      patterns = {
        primary = jsonencode({
          source        = ["aws.dlm", local.test_source]
          "detail-type" = ["DLM Policy State Change"]
          detail        = { state = ["ERROR"], policy_id = local._dlm_policies }
        })
      }
      values  = { policy = "$.detail.policy_id", why = "$.detail.cause" }
      message = "Lifecycle policy <policy> is in state ERROR: <why>"
    }

    lifecycle-policy-changed = {
      patterns = {
        primary = jsonencode({
          source        = ["aws.dlm", local.test_source]
          "detail-type" = ["AWS API Call via CloudTrail"]
          detail = {
            eventSource       = ["dlm.amazonaws.com"]
            eventName         = ["DeleteLifecyclePolicy", "UpdateLifecyclePolicy"]
            requestParameters = { policyId = values(var.watch.dlm_policy_ids) }
          }
        })
      }
      values  = merge(local._caller, { policy = "$.detail.requestParameters.policyId" })
      message = "<who> called <what> on lifecycle policy <policy> at <when>"
    }

    # EBS names the volume, not its tags: other applications of the account are heard too.
    snapshot-failed = {
      patterns = {
        for place in ["primary", "dr"] : place => jsonencode({
          source        = ["aws.ec2", local.test_source]
          "detail-type" = ["EBS Multi-Volume Snapshots Completion Status", "EBS Snapshot Notification"]
          detail        = { event = ["copySnapshot", "createSnapshot", "createSnapshots"], result = ["failed"] }
        })
      }
      values  = { event = "$.detail.event", volume = "$.detail.source", snapshot = "$.detail.snapshot_id", why = "$.detail.cause" }
      message = "<event> of <volume> (snapshot <snapshot>) failed: <why>"
    }

    kms-key-disabled = {
      patterns = {
        for place, keys in local._keys : place => jsonencode({
          source        = ["aws.kms", local.test_source]
          "detail-type" = ["AWS API Call via CloudTrail"]
          detail = {
            eventSource       = ["kms.amazonaws.com"]
            eventName         = ["DisableKey", "PutKeyPolicy", "ScheduleKeyDeletion"]
            requestParameters = { keyId = keys }
          }
        })
      }
      values  = merge(local._caller, { key = "$.detail.requestParameters.keyId", error = "$.detail.errorCode" })
      message = "<who> called <what> on key <key> at <when> (refused: <error>)"
    }

    bucket-protection-changed = {
      patterns = {
        for place, buckets in local._buckets : place => jsonencode({
          source        = ["aws.s3", local.test_source]
          "detail-type" = ["AWS API Call via CloudTrail"]
          detail = {
            eventSource = ["s3.amazonaws.com"]
            eventName = [
              "DeleteBucket",
              "DeleteBucketLifecycle",
              "DeleteBucketPolicy",
              "DeleteBucketReplication",
              "PutBucketLifecycle",
              "PutBucketObjectLockConfiguration",
              "PutBucketPolicy",
              "PutBucketReplication",
              "PutBucketVersioning",
            ]
            requestParameters = { bucketName = buckets }
          }
        })
      }
      values  = merge(local._caller, { bucket = "$.detail.requestParameters.bucketName", error = "$.detail.errorCode" })
      message = "<who> called <what> on bucket <bucket> at <when> (refused: <error>)"
    }
  })

  # A template is JSON text whose <placeholders> must stay as they are; jsonencode would escape the angle brackets.
  _templates = {
    for slug, rule in local.rules : slug =>
    "\"${var.name} (${var.environment}), <region>: ${rule.message}. What to do: ${format(local.page, slug)}\""
  }
  _values = { for slug, rule in local.rules : slug => merge(rule.values, { region = "$.region" }) }
}

resource "aws_cloudwatch_event_rule" "primary" {
  for_each = { for slug, rule in local.rules : slug => rule if contains(keys(rule.patterns), "primary") }

  name          = "${var.name}-${each.key}"
  description   = "What to do: ${format(local.page, each.key)}"
  event_pattern = each.value.patterns.primary
}

resource "aws_cloudwatch_event_target" "primary" {
  for_each = aws_cloudwatch_event_rule.primary

  rule      = each.value.name
  target_id = "alarms"
  arn       = aws_sns_topic.primary.arn

  input_transformer {
    input_paths    = local._values[each.key]
    input_template = local._templates[each.key]
  }

  depends_on = [aws_sns_topic_policy.primary]
}

resource "aws_cloudwatch_event_rule" "dr" {
  provider = aws.dr
  for_each = { for slug, rule in local.rules : slug => rule if contains(keys(rule.patterns), "dr") }

  name          = "${var.name}-${each.key}"
  description   = "What to do: ${format(local.page, each.key)}"
  event_pattern = each.value.patterns.dr
}

resource "aws_cloudwatch_event_target" "dr" {
  provider = aws.dr
  for_each = aws_cloudwatch_event_rule.dr

  rule      = each.value.name
  target_id = "alarms"
  arn       = aws_sns_topic.dr.arn

  input_transformer {
    input_paths    = local._values[each.key]
    input_template = local._templates[each.key]
  }

  depends_on = [aws_sns_topic_policy.dr]
}
