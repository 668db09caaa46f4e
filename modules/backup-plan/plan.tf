# What is backed up, when, by which role, and the restores that prove it.

resource "aws_iam_role" "this" {
  name        = "${var.name}-backup"
  description = "AWS Backup backs up, copies and restores ${var.name} with it"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "backup.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

# A role that can only back up is found out on the day of the restore.
resource "aws_iam_role_policy_attachment" "this" {
  for_each = {
    backup  = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup"
    restore = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForRestores"
  }

  role       = aws_iam_role.this.name
  policy_arn = each.value
}

resource "aws_backup_plan" "this" {
  name = "${var.name}-backups"

  dynamic "rule" {
    for_each = local.rules

    content {
      rule_name                = rule.key
      target_vault_name        = aws_backup_vault.primary.name
      schedule                 = rule.value.schedule
      start_window             = rule.value.start_window_minutes
      completion_window        = rule.value.completion_window_minutes
      enable_continuous_backup = rule.value.continuous

      lifecycle {
        delete_after       = rule.value.delete_after_days
        cold_storage_after = rule.value.cold_storage_after_days
      }

      copy_action {
        destination_vault_arn = local._dr_vault_arn

        lifecycle {
          delete_after       = rule.value.copy.delete_after_days
          cold_storage_after = rule.value.copy.cold_storage_after_days
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = anytrue([for rule in local.rules : rule.gap_hours <= var.objectives.rpo_hours])
      error_message = "rules: none runs every ${var.objectives.rpo_hours} hours (objectives.rpo_hours); the most frequent runs every ${min([for rule in local.rules : rule.gap_hours]...)}. Add a rule that runs often enough, such as schedule = \"cron(0 0/6 * * ? *)\" for every 6 hours."
    }
  }

  depends_on = [
    aws_backup_vault.dr,
    aws_backup_vault_lock_configuration.primary,
    aws_backup_vault_lock_configuration.dr,
  ]
}

# By ARN and by tag apart: what both would mean in one is an "and", and a resource without the tag would be left out.
# One for each ARN: a selection cannot be changed, and one that is made anew leaves everything in it out for a while.
resource "aws_backup_selection" "arns" {
  for_each = var.selection.arns

  name         = "by-arn-${each.key}"
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.this.arn
  resources    = [each.value]

  depends_on = [aws_iam_role_policy_attachment.this]
}

# By tag obeys the account's opt-in settings for AWS Backup, by ARN does not.
resource "aws_backup_selection" "tags" {
  count = length(var.selection.tags) > 0 ? 1 : 0

  name         = "by-tag"
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.this.arn
  resources    = ["*"]

  condition {
    dynamic "string_equals" {
      for_each = var.selection.tags

      content {
        key   = "aws:ResourceTag/${string_equals.key}"
        value = string_equals.value
      }
    }
  }

  depends_on = [aws_iam_role_policy_attachment.this]
}

# Names here may hold letters, digits and underscores only.
resource "aws_backup_restore_testing_plan" "this" {
  name                = "${replace(var.name, "-", "_")}_restores"
  schedule_expression = var.restore_testing.schedule
  start_window_hours  = var.restore_testing.start_window_hours

  recovery_point_selection {
    algorithm             = "LATEST_WITHIN_WINDOW"
    include_vaults        = [aws_backup_vault.primary.arn]
    recovery_point_types  = anytrue([for rule in var.rules : rule.continuous]) ? ["CONTINUOUS", "SNAPSHOT"] : ["SNAPSHOT"]
    selection_window_days = var.restore_testing.newest_within_days
  }
}

resource "aws_backup_restore_testing_selection" "this" {
  for_each = var.restore_testing.selections

  name                       = replace(each.key, "-", "_")
  restore_testing_plan_name  = aws_backup_restore_testing_plan.this.name
  protected_resource_type    = each.value.resource_type
  protected_resource_arns    = length(each.value.arns) > 0 ? values(each.value.arns) : ["*"]
  iam_role_arn               = aws_iam_role.this.arn
  restore_metadata_overrides = each.value.metadata_overrides
  validation_window_hours    = each.value.validation_hours

  depends_on = [aws_iam_role_policy_attachment.this]
}

locals {
  # A tag selection is for what changes its ARN: the instance.
  _assets = distinct(concat(
    [for arn in values(var.selection.arns) : lookup(local._asset_of_service, split(":", arn)[2], "instance volume")],
    length(var.selection.tags) > 0 ? ["instance volume"] : [],
  ))
  _asset_of_service = { rds = "database", s3 = "dumps" }

  protection = flatten([
    for asset in local._assets : [
      for name, rule in local.rules : [
        {
          asset       = asset
          mechanism   = "AWS Backup, locked vault (${name})"
          every_hours = rule.gap_hours
          kept_days   = rule.delete_after_days
          regions     = [var.region]
        },
        {
          asset       = asset
          mechanism   = "AWS Backup, copy in a locked vault (${name})"
          every_hours = rule.gap_hours
          kept_days   = rule.copy.delete_after_days
          regions     = [var.dr_region]
        },
      ]
    ]
  ])
}
