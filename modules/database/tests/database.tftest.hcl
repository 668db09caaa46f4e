mock_provider "aws" {
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/primary" }
  }

  mock_resource "aws_db_instance" {
    defaults = {
      arn                = "arn:aws:rds:eu-west-1:123456789012:db:app-test-g1"
      address            = "app-test-g1.abc.eu-west-1.rds.amazonaws.com"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-abcdef", secret_status = "active", kms_key_id = "" }]
    }
  }
}

mock_provider "aws" {
  alias           = "dr"
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/dr" }
  }
}

variables {
  name        = "app-test"
  environment = "test"
  account_id  = "123456789012"
  region      = "eu-west-1"
  dr_region   = "eu-central-1"

  network = {
    vpc_id                    = "vpc-0123456789abcdef0"
    subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    client_security_group_ids = { app = "sg-0123456789abcdef0" }
  }
}

run "backups_are_kept_and_outlive_the_instance" {
  command = plan

  assert {
    condition     = aws_db_instance.this["g1"].backup_retention_period == 7 && aws_db_instance.this["g1"].backup_window == "03:00-04:00" && aws_db_instance.this["g1"].maintenance_window == "sun:00:30-sun:01:30"
    error_message = "Retention or windows differ from the defaults."
  }

  assert {
    condition     = aws_db_instance.this["g1"].delete_automated_backups == false && aws_db_instance.this["g1"].copy_tags_to_snapshot
    error_message = "The backups go with the instance, or lose its tags."
  }

  assert {
    condition     = aws_db_instance.this["g1"].deletion_protection && !aws_db_instance.this["g1"].skip_final_snapshot && aws_db_instance.this["g1"].final_snapshot_identifier == "app-test-g1-final"
    error_message = "The instance can be deleted, or leaves no last snapshot under its own name."
  }
}

run "the_password_is_never_ours" {
  command = plan

  assert {
    condition     = aws_db_instance.this["g1"].manage_master_user_password && aws_db_instance.this["g1"].password == null && aws_db_instance.this["g1"].master_user_secret_kms_key_id == aws_kms_key.this.arn
    error_message = "The master password is not managed by RDS under our key."
  }

  assert {
    condition     = output.active.password_secret_arn == "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-abcdef"
    error_message = "The output names another secret."
  }
}

run "storage_and_copies_are_encrypted_with_a_key_of_their_region" {
  command = plan

  assert {
    condition     = aws_db_instance.this["g1"].storage_encrypted && aws_db_instance.this["g1"].kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/primary"
    error_message = "The storage is not encrypted with its own key."
  }

  assert {
    condition     = aws_db_instance_automated_backups_replication.dr["g1"].kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/dr"
    error_message = "The copy is not encrypted with the key of the DR region."
  }

  assert {
    condition     = alltrue([for key in [aws_kms_key.this, aws_kms_key.dr] : key.enable_key_rotation && key.deletion_window_in_days == 30 && strcontains(key.policy, "role/app-test-break-glass")])
    error_message = "A key does not rotate, or may be lost without break glass."
  }
}

run "only_the_named_clients_get_in" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_ingress_rule.client["app"].referenced_security_group_id == "sg-0123456789abcdef0" && aws_vpc_security_group_ingress_rule.client["app"].from_port == 5432
    error_message = "The application is not let in on the database's port."
  }

  assert {
    condition     = aws_db_instance.this["g1"].publicly_accessible == false
    error_message = "The database is reachable from the internet."
  }
}

run "generations_stand_side_by_side_and_none_but_a_retiring_one_loses_its_copy" {
  command = plan

  variables {
    generations       = { g1 = { retiring = true }, g2 = {}, g3 = { restored = true }, g4 = { restored = true, dr_copy = false } }
    active_generation = "g3"
  }

  assert {
    condition     = { for generation, instance in aws_db_instance.this : generation => [instance.identifier, instance.deletion_protection] } == { g1 = ["app-test-g1", false], g2 = ["app-test-g2", true], g3 = ["app-test-g3", true], g4 = ["app-test-g4", true] }
    error_message = "Generations are named wrongly, or the wrong one lost its protection."
  }

  assert {
    condition     = keys(aws_db_instance_automated_backups_replication.dr) == ["g2", "g3"] && output.active.identifier == "app-test-g3"
    error_message = "A generation lost its copy, or another one than the active one is named."
  }
}

run "the_database_says_what_protects_it" {
  command = plan

  variables {
    backup = { retention_days = 35, dr_retention_days = 14 }
  }

  assert {
    condition     = [for line in output.protection : "${line.asset}/${line.kept_days}/${join(",", line.regions)}"] == ["database/35/eu-west-1", "database/14/eu-central-1"]
    error_message = "protection is ${jsonencode(output.protection)}."
  }
}

run "a_disposable_environment_lets_go" {
  command = plan

  variables {
    teardown = true
  }

  assert {
    condition     = !aws_db_instance.this["g1"].deletion_protection && aws_db_instance.this["g1"].skip_final_snapshot && !strcontains(aws_kms_key.this.policy, "Deny")
    error_message = "teardown leaves something that resists."
  }
}

run "teardown_of_production_is_refused" {
  command = plan

  variables {
    environment = "production"
    teardown    = true
  }

  expect_failures = [var.teardown]
}

# Windows. They are arcs on the week's circle; every way to collide has a case.
run "windows_that_touch_pass_without_a_gap" {
  command = plan

  variables {
    backup = { backup_window = "03:00-04:00", maintenance_window = "wed:04:00-wed:05:00", gap_minutes = 0 }
  }

  assert {
    condition     = local.clear_minutes == 0
    error_message = "Touching windows are ${local.clear_minutes} minutes apart."
  }
}

run "windows_closer_than_the_gap_are_refused" {
  command = plan

  variables {
    backup = { backup_window = "03:00-04:00", maintenance_window = "wed:04:59-wed:06:00" }
  }

  expect_failures = [aws_db_instance.this]
}

run "overlapping_windows_are_refused" {
  command = plan

  variables {
    backup = { backup_window = "03:00-04:00", maintenance_window = "fri:03:30-fri:04:30", gap_minutes = 0 }
  }

  expect_failures = [aws_db_instance.this]
}

run "a_window_inside_the_other_is_refused" {
  command = plan

  variables {
    backup = { backup_window = "03:00-04:00", maintenance_window = "mon:02:00-mon:06:00", gap_minutes = 0 }
  }

  expect_failures = [aws_db_instance.this]
}

run "the_same_window_twice_is_refused" {
  command = plan

  variables {
    backup = { backup_window = "03:00-04:00", maintenance_window = "mon:03:00-mon:04:00", gap_minutes = 0 }
  }

  expect_failures = [aws_db_instance.this]
}

run "a_backup_window_over_midnight_into_the_new_week_is_refused" {
  command = plan

  variables {
    backup = { backup_window = "23:30-00:30", maintenance_window = "sun:00:00-sun:01:00", gap_minutes = 0 }
  }

  expect_failures = [aws_db_instance.this]
}

run "a_maintenance_window_over_the_end_of_the_week_is_refused" {
  command = plan

  variables {
    backup = { backup_window = "00:15-00:45", maintenance_window = "sat:23:30-sun:00:30", gap_minutes = 0 }
  }

  expect_failures = [aws_db_instance.this]
}

run "a_maintenance_window_over_the_end_of_the_week_clear_of_backups_passes" {
  command = plan

  variables {
    backup = { backup_window = "03:00-04:00", maintenance_window = "sat:23:30-sun:00:30" }
  }

  assert {
    condition     = local.clear_minutes == 150
    error_message = "The windows are ${local.clear_minutes} minutes apart, 00:30 to 03:00 is 150."
  }
}

run "a_backup_window_of_ten_minutes_is_refused" {
  command = plan

  variables {
    backup = { backup_window = "03:00-03:10" }
  }

  expect_failures = [aws_db_instance.this]
}

run "a_maintenance_window_of_ten_minutes_is_refused" {
  command = plan

  variables {
    backup = { maintenance_window = "sun:06:00-sun:06:10" }
  }

  expect_failures = [aws_db_instance.this]
}

run "a_maintenance_window_of_days_is_refused" {
  command = plan

  variables {
    backup = { maintenance_window = "sun:06:00-tue:06:00" }
  }

  expect_failures = [aws_db_instance.this]
}

run "an_unreadable_backup_window_is_refused" {
  command = plan

  variables {
    backup = { backup_window = "3am-4am" }
  }

  expect_failures = [var.backup]
}

run "an_unreadable_maintenance_window_is_refused" {
  command = plan

  variables {
    backup = { maintenance_window = "Sunday:05:00-Sunday:06:00" }
  }

  expect_failures = [var.backup]
}

# Objectives and retention.
run "backups_switched_off_are_refused" {
  command = plan

  variables {
    backup = { retention_days = 0 }
  }

  expect_failures = [var.backup]
}

run "a_retention_under_a_week_is_refused" {
  command = plan

  variables {
    backup = { retention_days = 6 }
  }

  expect_failures = [var.backup]
}

run "a_retention_shorter_than_the_rpo_is_refused" {
  command = plan

  variables {
    objectives = { rpo_hours = 200 }
    backup     = { retention_days = 8, dr_retention_days = 35 }
  }

  expect_failures = [var.backup]
}

run "a_copy_kept_shorter_than_the_rpo_is_refused" {
  command = plan

  variables {
    objectives = { rpo_hours = 72 }
    backup     = { dr_retention_days = 2 }
  }

  expect_failures = [var.backup]
}

run "objectives_of_zero_are_refused" {
  command = plan

  variables {
    objectives = { rpo_hours = 0 }
  }

  expect_failures = [var.objectives]
}

# Everything else.
run "a_copy_in_the_same_region_is_refused" {
  command = plan

  variables {
    dr_region = "eu-west-1"
  }

  expect_failures = [var.dr_region]
}

run "an_active_generation_that_does_not_exist_is_refused" {
  command = plan

  variables {
    active_generation = "g2"
  }

  expect_failures = [var.active_generation]
}

run "retiring_the_active_generation_is_refused" {
  command = plan

  variables {
    generations = { g1 = { retiring = true } }
  }

  expect_failures = [var.active_generation]
}

run "a_generation_with_another_kind_of_name_is_refused" {
  command = plan

  variables {
    generations       = { blue = {} }
    active_generation = "blue"
  }

  expect_failures = [var.generations]
}

run "an_engine_without_forced_tls_is_refused" {
  command = plan

  variables {
    instance = { engine_version = "14" }
  }

  expect_failures = [var.instance]
}

run "a_reserved_user_name_is_refused" {
  command = plan

  variables {
    instance = { username = "postgres" }
  }

  expect_failures = [var.instance]
}

run "growth_to_less_than_now_is_refused" {
  command = plan

  variables {
    instance = { allocated_gb = 100, max_allocated_gb = 100 }
  }

  expect_failures = [var.instance]
}

run "one_subnet_is_refused" {
  command = plan

  variables {
    network = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0123456789abcdef0"], client_security_group_ids = {} }
  }

  expect_failures = [var.network]
}
