# In the shape of the examples of lgallard/terraform-aws-backup: a plan with copies in another region, selections by tag and
# by ARN, a lock, notifications. Written anew as resources, by the documented inputs; what it takes copies of stands beside.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region = var.primary_region
}

provider "aws" {
  alias  = "secondary"
  region = var.secondary_region
}

variable "primary_region" {
  type    = string
  default = "us-east-1"
}

variable "secondary_region" {
  type    = string
  default = "us-west-2"
}

variable "rules" {
  description = "As the module takes them."
  type = list(object({
    name              = string
    schedule          = optional(string)
    start_window      = optional(number, 60)
    completion_window = optional(number, 480)
    continuous        = optional(bool, false)
    lifecycle         = object({ cold_storage_after = optional(number), delete_after = number })
    copy_lifecycle    = optional(object({ cold_storage_after = optional(number), delete_after = number }))
  }))
  default = [
    {
      name           = "daily"
      schedule       = "cron(0 2 * * ? *)"
      lifecycle      = { cold_storage_after = 30, delete_after = 365 }
      copy_lifecycle = { cold_storage_after = 30, delete_after = 365 }
    },
    {
      name       = "continuous"
      schedule   = "cron(0 12 * * ? *)"
      continuous = true
      lifecycle  = { delete_after = 30 }
    },
  ]
}

locals {
  tags = {
    Owner       = "devops"
    Environment = "production"
  }
}

resource "aws_kms_key" "primary" {
  description             = "Encrypts the vault"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_key" "secondary" {
  provider                = aws.secondary
  description             = "Encrypts the copies"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_backup_vault" "this" {
  count = 1

  name        = "vault-primary"
  kms_key_arn = aws_kms_key.primary.arn
  tags        = local.tags
}

resource "aws_backup_vault_lock_configuration" "this" {
  count = 1

  backup_vault_name  = aws_backup_vault.this[0].name
  min_retention_days = 7
  max_retention_days = 365
}

resource "aws_backup_vault" "secondary" {
  provider = aws.secondary

  name        = "vault-secondary"
  kms_key_arn = aws_kms_key.secondary.arn
  tags        = local.tags
}

resource "aws_backup_vault_notifications" "this" {
  backup_vault_name   = aws_backup_vault.this[0].name
  sns_topic_arn       = aws_sns_topic.events.arn
  backup_vault_events = ["BACKUP_JOB_STARTED", "BACKUP_JOB_COMPLETED", "BACKUP_JOB_FAILED", "RESTORE_JOB_COMPLETED"]
}

resource "aws_sns_topic" "events" {
  name = "backup-vault-events"
}

resource "aws_backup_plan" "this" {
  name = "complete-plan"

  dynamic "rule" {
    for_each = var.rules

    content {
      rule_name                = rule.value.name
      target_vault_name        = aws_backup_vault.this[0].name
      schedule                 = rule.value.schedule
      start_window             = rule.value.start_window
      completion_window        = rule.value.completion_window
      enable_continuous_backup = rule.value.continuous

      lifecycle {
        cold_storage_after = rule.value.lifecycle.cold_storage_after
        delete_after       = rule.value.lifecycle.delete_after
      }

      dynamic "copy_action" {
        for_each = rule.value.copy_lifecycle == null ? [] : [rule.value.copy_lifecycle]

        content {
          destination_vault_arn = aws_backup_vault.secondary.arn

          lifecycle {
            cold_storage_after = copy_action.value.cold_storage_after
            delete_after       = copy_action.value.delete_after
          }
        }
      }
    }
  }
}

resource "aws_iam_role" "backup" {
  name = "complete-plan-backup"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "backup.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# By tags with a condition, as selection_by_conditions and complete_plan have it.
resource "aws_backup_selection" "tagged" {
  name         = "by-tags"
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.backup.arn
  resources    = ["*"]

  condition {
    string_equals {
      key   = "aws:ResourceTag/Environment"
      value = "production"
    }
    string_not_equals {
      key   = "aws:ResourceTag/Backup"
      value = "false"
    }
  }
}

# By ARN, as simple_plan has it.
resource "aws_backup_selection" "named" {
  name         = "by-arn"
  plan_id      = aws_backup_plan.this.id
  iam_role_arn = aws_iam_role.backup.arn
  resources    = [aws_dynamodb_table.sessions.arn]
}

resource "aws_dynamodb_table" "sessions" {
  name         = "sessions"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"

  attribute {
    name = "id"
    type = "S"
  }
}

resource "aws_ebs_volume" "data" {
  availability_zone = "${var.primary_region}a"
  size              = 50
  encrypted         = true
  tags              = local.tags
}

resource "aws_efs_file_system" "files" {
  encrypted = true
  tags      = merge(local.tags, { Name = "files" })
}

resource "aws_ebs_volume" "scratch" {
  availability_zone = "${var.primary_region}a"
  size              = 10
  encrypted         = true
  tags              = merge(local.tags, { Backup = "false", "lifeboat:data" = "false" })
}
