mock_provider "aws" {
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/primary" }
  }

  mock_resource "aws_backup_vault" {
    defaults = { arn = "arn:aws:backup:eu-west-1:123456789012:backup-vault:app-test-backups" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/app-test-backup" }
  }
}

mock_provider "aws" {
  alias           = "dr"
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/dr" }
  }

  mock_resource "aws_backup_vault" {
    defaults = { arn = "arn:aws:backup:eu-central-1:123456789012:backup-vault:app-test-backups-dr" }
  }
}

variables {
  name        = "app-test"
  environment = "test"
  account_id  = "123456789012"
  region      = "eu-west-1"
  dr_region   = "eu-central-1"

  selection = {
    arns = { g1 = "arn:aws:rds:eu-west-1:123456789012:db:app-test-g1" }
  }

  restore_testing = {
    selections = {
      database = { resource_type = "RDS", metadata_overrides = { dbSubnetGroupName = "app-test-database" } }
    }
  }
}

run "both_vaults_are_locked_guarded_and_have_keys_of_their_own" {
  command = plan

  assert {
    condition     = aws_backup_vault.primary.name == "app-test-backups" && aws_backup_vault.dr.name == "app-test-backups-dr"
    error_message = "The vaults have other names."
  }

  assert {
    condition = (
      aws_backup_vault.primary.kms_key_arn == "arn:aws:kms:eu-west-1:123456789012:key/primary" &&
      aws_backup_vault.dr.kms_key_arn == "arn:aws:kms:eu-central-1:123456789012:key/dr" &&
      alltrue([for key in [aws_kms_key.primary, aws_kms_key.dr] : key.enable_key_rotation && key.deletion_window_in_days == 30])
    )
    error_message = "A vault has another region's key, or a key can be gone in less than 30 days."
  }

  assert {
    condition = alltrue([
      for lock in [aws_backup_vault_lock_configuration.primary, aws_backup_vault_lock_configuration.dr] :
      lock.min_retention_days == 7 && lock.max_retention_days == 400 && lock.changeable_for_days == null
    ])
    error_message = "A vault is not locked in governance mode."
  }

  assert {
    condition = alltrue([
      for policy in [aws_backup_vault_policy.primary.policy, aws_backup_vault_policy.dr.policy] :
      jsondecode(policy).Statement[0].Effect == "Deny" && length(setsubtract(
        ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle", "backup:DeleteBackupVault", "backup:DeleteBackupVaultLockConfiguration", "backup:PutBackupVaultAccessPolicy"],
        jsondecode(policy).Statement[0].Action
      )) == 0
    ])
    error_message = "Somebody other than the break-glass roles may delete a backup or weaken a vault."
  }
}

run "only_the_break_glass_roles_pass_the_guard" {
  command = plan

  variables {
    break_glass_role_arns = ["arn:aws:iam::123456789012:role/administrator"]
  }

  assert {
    condition = join(" ", jsondecode(aws_backup_vault_policy.primary.policy).Statement[0].Condition.ArnNotLike["aws:PrincipalArn"]) == (
      "arn:aws:iam::123456789012:role/administrator arn:aws:iam::123456789012:role/app-test-break-glass"
    )
    error_message = "Others pass the guard."
  }
}

run "every_rule_is_copied_to_the_dr_vault" {
  command = plan

  assert {
    condition = alltrue([
      for rule in aws_backup_plan.this.rule :
      one(rule.copy_action).destination_vault_arn == "arn:aws:backup:eu-central-1:123456789012:backup-vault:app-test-backups-dr" &&
      one(one(rule.copy_action).lifecycle).delete_after == one(rule.lifecycle).delete_after
    ])
    error_message = "A rule is not copied, or its copy is kept for another time."
  }

  assert {
    condition     = jsonencode({ for rule in aws_backup_plan.this.rule : rule.rule_name => one(rule.lifecycle).delete_after }) == jsonencode({ daily = 35, monthly = 365 })
    error_message = "The default rules are other ones."
  }
}

run "arns_and_tags_are_two_selections" {
  command = plan

  assert {
    condition     = aws_backup_selection.arns["g1"].resources == toset(["arn:aws:rds:eu-west-1:123456789012:db:app-test-g1"])
    error_message = "The database is not selected by its ARN."
  }

  assert {
    condition = (
      aws_backup_selection.tags[0].resources == toset(["*"]) &&
      one(one(aws_backup_selection.tags[0].condition).string_equals).key == "aws:ResourceTag/lifeboat:backup" &&
      one(one(aws_backup_selection.tags[0].condition).string_equals).value == "plan"
    )
    error_message = "The tag is not selected by a condition."
  }
}

run "without_arns_only_the_tags_select" {
  command = plan

  variables {
    selection = {}
  }

  assert {
    condition     = length(aws_backup_selection.arns) == 0 && length(aws_backup_selection.tags) == 1
    error_message = "An empty selection is made; AWS Backup takes it for everything."
  }
}

run "the_role_may_back_up_and_restore" {
  command = plan

  assert {
    condition = toset(values(aws_iam_role_policy_attachment.this)[*].policy_arn) == toset([
      "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup",
      "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForRestores",
    ])
    error_message = "The role lacks a managed policy."
  }
}

run "backups_are_restored_every_week_with_the_metadata_given" {
  command = plan

  assert {
    condition = (
      aws_backup_restore_testing_plan.this.name == "app_test_restores" &&
      aws_backup_restore_testing_plan.this.schedule_expression == "cron(0 9 ? * SUN *)" &&
      aws_backup_restore_testing_plan.this.recovery_point_selection[0].include_vaults == toset(["arn:aws:backup:eu-west-1:123456789012:backup-vault:app-test-backups"])
    )
    error_message = "The restore test has another name, time or vault."
  }

  assert {
    condition = (
      aws_backup_restore_testing_selection.this["database"].restore_metadata_overrides["dbSubnetGroupName"] == "app-test-database" &&
      aws_backup_restore_testing_selection.this["database"].protected_resource_arns == toset(["*"])
    )
    error_message = "The restore test cannot restore the database."
  }
}

run "the_protection_table_has_every_rule_twice" {
  command = plan

  assert {
    condition = [for row in output.protection : "${row.asset} every ${row.every_hours} h kept ${row.kept_days} d in ${join(" ", row.regions)}" if row.asset == "database"] == [
      "database every 24 h kept 35 d in eu-west-1",
      "database every 24 h kept 35 d in eu-central-1",
      "database every 744 h kept 365 d in eu-west-1",
      "database every 744 h kept 365 d in eu-central-1",
    ]
    error_message = "The protection table says something else."
  }
}

run "compliance_is_set_when_its_vault_is_named" {
  command = plan

  variables {
    lock = { mode = "compliance", confirm = "app-test-backups", changeable_for_days = 3 }
  }

  assert {
    condition     = aws_backup_vault_lock_configuration.primary.changeable_for_days == 3 && aws_backup_vault_lock_configuration.dr.changeable_for_days == 3
    error_message = "A confirmed compliance lock is not set."
  }
}

run "cold_storage_ninety_days_before_the_end_is_accepted" {
  command = plan

  variables {
    rules = {
      daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 120, cold_storage_after_days = 30, copy = { delete_after_days = 130, cold_storage_after_days = 40 } }
    }
  }

  assert {
    condition     = one(one(aws_backup_plan.this.rule).lifecycle).cold_storage_after == 30 && one(one(one(aws_backup_plan.this.rule).copy_action).lifecycle).cold_storage_after == 40
    error_message = "Cold storage is lost on the way."
  }
}

run "a_throw_away_environment_can_be_emptied" {
  command = plan

  variables {
    teardown = true
  }

  assert {
    condition = (
      aws_backup_vault.primary.force_destroy && aws_backup_vault.dr.force_destroy &&
      !contains(jsondecode(aws_backup_vault_policy.primary.policy).Statement[0].Action, "backup:DeleteBackupVaultAccessPolicy")
    )
    error_message = "A teardown is stopped by its own guard."
  }
}

run "refuses_cold_storage_30_with_delete_60" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 60, cold_storage_after_days = 30 } }
  }

  expect_failures = [var.rules]
}

run "refuses_cold_storage_30_with_delete_20" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 20, cold_storage_after_days = 30 } }
  }

  expect_failures = [var.rules]
}

run "refuses_cold_storage_before_30_days" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 200, cold_storage_after_days = 29 } }
  }

  expect_failures = [var.rules]
}

run "refuses_a_copy_cold_for_less_than_90_days" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35, copy = { cold_storage_after_days = 30 } } }
  }

  expect_failures = [var.rules]
}

run "refuses_continuous_kept_90_days" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", continuous = true, delete_after_days = 90 } }
  }

  expect_failures = [var.rules]
}

run "refuses_continuous_without_a_lifecycle" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", continuous = true } }
  }

  expect_failures = [var.rules]
}

run "refuses_continuous_in_cold_storage" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", continuous = true, delete_after_days = 35, cold_storage_after_days = 30 } }
  }

  expect_failures = [var.rules]
}

run "refuses_a_rule_that_keeps_for_ever" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)" } }
  }

  expect_failures = [var.rules]
}

run "refuses_completion_70_with_start_60" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35, completion_window_minutes = 70 } }
  }

  expect_failures = [var.rules]
}

run "refuses_a_start_window_of_10_minutes" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35, start_window_minutes = 10 } }
  }

  expect_failures = [var.rules]
}

run "refuses_a_rate_schedule" {
  command = plan

  variables {
    rules = { daily = { schedule = "rate(1 day)", delete_after_days = 35 } }
  }

  expect_failures = [var.rules]
}

run "refuses_the_schedule_every_day" {
  command = plan

  variables {
    rules = { daily = { schedule = "every day", delete_after_days = 35 } }
  }

  expect_failures = [var.rules]
}

run "refuses_no_rules" {
  command = plan

  variables {
    rules = {}
  }

  expect_failures = [var.rules]
}

run "refuses_rules_rarer_than_the_rpo" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 ? * SUN *)", delete_after_days = 35 } }
  }

  expect_failures = [aws_backup_plan.this]
}

run "refuses_a_lock_whose_min_30_is_above_max_7" {
  command = plan

  variables {
    lock  = { min_days = 30, max_days = 7 }
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 30 } }
  }

  expect_failures = [var.lock]
}

run "refuses_a_retention_shorter_than_the_lock" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 6 } }
  }

  expect_failures = [var.lock]
}

run "refuses_a_retention_longer_than_the_lock" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 401 } }
  }

  expect_failures = [var.lock]
}

run "refuses_a_copy_shorter_than_the_lock" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35, copy = { delete_after_days = 6 } } }
  }

  expect_failures = [var.lock]
}

run "refuses_a_copy_longer_than_the_lock" {
  command = plan

  variables {
    rules = { daily = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35, copy = { delete_after_days = 401 } } }
  }

  expect_failures = [var.lock]
}

run "refuses_compliance_without_the_typed_vault_name" {
  command = plan

  variables {
    lock = { mode = "compliance", changeable_for_days = 3, confirm = "yes" }
  }

  expect_failures = [var.lock]
}

run "refuses_compliance_without_days_to_change_ones_mind" {
  command = plan

  variables {
    lock = { mode = "compliance", confirm = "app-test-backups" }
  }

  expect_failures = [var.lock]
}

run "refuses_compliance_changeable_for_two_days" {
  command = plan

  variables {
    lock = { mode = "compliance", confirm = "app-test-backups", changeable_for_days = 2 }
  }

  expect_failures = [var.lock]
}

run "refuses_compliance_by_accident" {
  command = plan

  variables {
    lock = { changeable_for_days = 3 }
  }

  expect_failures = [var.lock]
}

run "refuses_compliance_on_a_throw_away_environment" {
  command = plan

  variables {
    lock     = { mode = "compliance", confirm = "app-test-backups", changeable_for_days = 3 }
    teardown = true
  }

  expect_failures = [var.lock]
}

run "refuses_a_lock_mode_that_is_none" {
  command = plan

  variables {
    lock = { mode = "strict" }
  }

  expect_failures = [var.lock]
}

run "refuses_an_empty_selection" {
  command = plan

  variables {
    selection = { arns = {}, tags = {} }
  }

  expect_failures = [var.selection]
}

run "refuses_a_wildcard_arn" {
  command = plan

  variables {
    selection = { arns = { all = "arn:aws:rds:eu-west-1:123456789012:db:*" } }
  }

  expect_failures = [var.selection]
}

run "refuses_a_restore_test_of_nothing" {
  command = plan

  variables {
    restore_testing = { selections = {} }
  }

  expect_failures = [var.restore_testing]
}

run "refuses_a_restore_test_of_a_database_without_its_subnets" {
  command = plan

  variables {
    restore_testing = { selections = { database = { resource_type = "RDS", metadata_overrides = {} } } }
  }

  expect_failures = [var.restore_testing]
}

run "refuses_a_copy_in_the_same_region" {
  command = plan

  variables {
    dr_region = "eu-west-1"
  }

  expect_failures = [var.dr_region]
}
