# Backups of what is selected, into a locked vault here and a locked vault in the DR region, and restores that prove them.

locals {
  vaults = {
    primary = "${var.name}-backups"
    dr      = "${var.name}-backups-dr"
  }
  # Written out, so that a plan shows where copies go before the vault exists.
  _dr_vault_arn = "arn:aws:backup:${var.dr_region}:${var.account_id}:backup-vault:${local.vaults.dr}"

  # Conditions compare names, so the role need not exist yet.
  break_glass = sort(setunion(var.break_glass_role_arns, ["arn:aws:iam::${var.account_id}:role/${var.name}-break-glass"]))

  # Every rule is copied; a copy is kept as long as its original unless it says otherwise.
  rules = {
    for name, rule in var.rules : name => merge(rule, {
      copy = {
        delete_after_days       = rule.copy.delete_after_days == null ? rule.delete_after_days : rule.copy.delete_after_days
        cold_storage_after_days = rule.copy.cold_storage_after_days
      }
      # The longest time between two runs, a cron taken at its worst: Monday to Friday counts as weekly, two days of a month as monthly.
      gap_hours = (
        local._fields[name][3] != "*" ? 8784 :
        !contains(["*", "?"], local._fields[name][2]) ? 744 :
        !contains(["*", "?"], local._fields[name][4]) ? 168 :
        local._fields[name][1] == "*" ? 1 :
        can(regex("^[0*]/[0-9]+$", local._fields[name][1])) ? tonumber(split("/", local._fields[name][1])[1]) : 24
      )
    })
  }
  _fields = {
    for name, rule in var.rules : name => concat(
      split(" ", trimsuffix(trimprefix(rule.schedule, "cron("), ")")),
      ["", "", "", "", "", ""], # so that a schedule with fields missing is refused by name, not here
    )
  }

  _guarded_actions = concat(
    [
      "backup:DeleteBackupVault",
      "backup:DeleteRecoveryPoint",
      "backup:DisassociateRecoveryPoint",
      "backup:UpdateRecoveryPointLifecycle",
    ],
    # The guard guards itself; a disposable environment must be able to take its own guard away.
    var.teardown ? [] : [
      "backup:DeleteBackupVaultAccessPolicy",
      "backup:DeleteBackupVaultLockConfiguration",
      "backup:PutBackupVaultAccessPolicy",
      "backup:PutBackupVaultLockConfiguration",
    ],
  )
  vault_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "BackupsStay"
      Effect    = "Deny"
      Principal = { AWS = "*" }
      Action    = local._guarded_actions
      Resource  = "*"
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.break_glass } }
    }]
  })

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "AccountDecidesByIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      }],
      # A lock does not protect the key, and without the key every locked backup is lost.
      var.teardown ? [] : [{
        Sid       = "KeyStays"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = ["kms:DisableKey", "kms:ScheduleKeyDeletion"]
        Resource  = "*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.break_glass } }
      }],
    )
  })
}

resource "aws_kms_key" "primary" {
  description             = "Backups of ${var.name} (${var.environment})"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  policy                  = local.key_policy
}

resource "aws_kms_alias" "primary" {
  name          = "alias/${local.vaults.primary}"
  target_key_id = aws_kms_key.primary.key_id
}

resource "aws_kms_key" "dr" {
  provider = aws.dr

  description             = "Copies of the backups of ${var.name} (${var.environment})"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  policy                  = local.key_policy
}

resource "aws_kms_alias" "dr" {
  provider = aws.dr

  name          = "alias/${local.vaults.dr}"
  target_key_id = aws_kms_key.dr.key_id
}

resource "aws_backup_vault" "primary" {
  name          = local.vaults.primary
  kms_key_arn   = aws_kms_key.primary.arn
  force_destroy = var.teardown

  lifecycle {
    postcondition {
      condition     = strcontains(self.arn, ":backup:${var.region}:")
      error_message = "Provider aws made the vault ${self.arn}, but region is ${var.region}: make both the same."
    }
  }
}

resource "aws_backup_vault" "dr" {
  provider = aws.dr

  name          = local.vaults.dr
  kms_key_arn   = aws_kms_key.dr.arn
  force_destroy = var.teardown

  lifecycle {
    postcondition {
      condition     = strcontains(self.arn, ":backup:${var.dr_region}:")
      error_message = "Provider aws.dr made the vault ${self.arn}, but dr_region is ${var.dr_region}: make both the same."
    }
  }
}

# changeable_for_days is what makes a lock compliance: var.lock refuses it without the typed confirmation.
resource "aws_backup_vault_lock_configuration" "primary" {
  backup_vault_name   = aws_backup_vault.primary.name
  min_retention_days  = var.lock.min_days
  max_retention_days  = var.lock.max_days
  changeable_for_days = var.lock.changeable_for_days
}

resource "aws_backup_vault_lock_configuration" "dr" {
  provider = aws.dr

  backup_vault_name   = aws_backup_vault.dr.name
  min_retention_days  = var.lock.min_days
  max_retention_days  = var.lock.max_days
  changeable_for_days = var.lock.changeable_for_days
}

# After the lock, which the policy then guards; on destroy the other way round.
resource "aws_backup_vault_policy" "primary" {
  backup_vault_name = aws_backup_vault.primary.name
  policy            = local.vault_policy

  depends_on = [aws_backup_vault_lock_configuration.primary]
}

resource "aws_backup_vault_policy" "dr" {
  provider = aws.dr

  backup_vault_name = aws_backup_vault.dr.name
  policy            = local.vault_policy

  depends_on = [aws_backup_vault_lock_configuration.dr]
}
