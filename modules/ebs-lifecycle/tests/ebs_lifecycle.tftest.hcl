mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/app-test-dlm" }
  }
}

mock_provider "aws" {
  alias           = "dr"
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/copies" }
  }
}

variables {
  name        = "app-test"
  environment = "test"
  account_id  = "123456789012"
  region      = "eu-west-1"
  dr_region   = "eu-central-1"
}

run "snapshots_are_daily_and_images_monthly" {
  command = plan

  assert {
    condition = (
      one(one(aws_dlm_lifecycle_policy.this["snapshots"].policy_details[0].schedule).create_rule).interval == 24 &&
      one(one(aws_dlm_lifecycle_policy.this["snapshots"].policy_details[0].schedule).create_rule).times[0] == "03:00" &&
      one(one(aws_dlm_lifecycle_policy.this["images"].policy_details[0].schedule).create_rule).cron_expression == "cron(0 4 1 * ? *)"
    )
    error_message = "The default schedules are other ones."
  }

  assert {
    condition = (
      aws_dlm_lifecycle_policy.this["images"].policy_details[0].policy_type == "IMAGE_MANAGEMENT" &&
      aws_dlm_lifecycle_policy.this["images"].policy_details[0].parameters[0].no_reboot &&
      aws_dlm_lifecycle_policy.this["snapshots"].policy_details[0].policy_type == "EBS_SNAPSHOT_MANAGEMENT"
    )
    error_message = "A policy makes something else."
  }

  assert {
    condition     = alltrue([for policy in aws_dlm_lifecycle_policy.this : policy.policy_details[0].target_tags == tomap({ "lifeboat:protect" = "daily" }) && policy.state == "ENABLED"])
    error_message = "A policy is off, or looks for other tags."
  }
}

run "every_copy_lies_encrypted_in_the_dr_region_under_the_key_there" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for policy in aws_dlm_lifecycle_policy.this : [
        for schedule in policy.policy_details[0].schedule : [
          for copy in schedule.cross_region_copy_rule :
          copy.encrypted && copy.copy_tags && copy.target == "eu-central-1" && copy.cmk_arn == "arn:aws:kms:eu-central-1:123456789012:key/copies"
        ]
      ]
    ]))
    error_message = "A copy is open, elsewhere, or under another key."
  }

  assert {
    condition     = aws_kms_key.copies.enable_key_rotation && aws_kms_key.copies.deletion_window_in_days == 30
    error_message = "The key does not rotate, or may be deleted in less than 30 days."
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_kms_key.copies.policy).Statement : statement.Effect == "Deny" && contains(flatten([statement.Action]), "kms:ScheduleKeyDeletion")])
    error_message = "The key may be deleted by anybody with the right in IAM."
  }
}

run "the_role_holds_both_managed_policies_and_the_grants" {
  command = plan

  variables {
    source_kms_key_arns = ["arn:aws:kms:eu-west-1:123456789012:key/volumes"]
  }

  assert {
    condition = toset(values(aws_iam_role_policy_attachment.dlm)[*].policy_arn) == toset([
      "arn:aws:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRole",
      "arn:aws:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRoleForAMIManagement",
    ])
    error_message = "A managed policy is missing."
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.keys.policy).Statement :
      contains(flatten([statement.Action]), "kms:CreateGrant") &&
      contains(statement.Resource, "arn:aws:kms:eu-central-1:123456789012:key/copies") &&
      contains(statement.Resource, "arn:aws:kms:eu-west-1:123456789012:key/volumes")
    ])
    error_message = "DLM may not let EBS use a key."
  }
}

run "the_protection_table_has_original_and_copy_of_both" {
  command = plan

  assert {
    condition = [for row in output.protection : "${row.asset} every ${row.every_hours} h kept ${row.kept_days} d in ${join(" ", row.regions)}"] == [
      "image every 744 h kept 190 d in eu-west-1",
      "image every 744 h kept 95 d in eu-central-1",
      "instance volume every 24 h kept 14 d in eu-west-1",
      "instance volume every 24 h kept 14 d in eu-central-1",
    ]
    error_message = "The protection table says something else."
  }
}

run "a_count_is_kept_instead_of_an_age" {
  command = plan

  variables {
    snapshots  = { resource_type = "VOLUME", schedules = { daily = { cron = "cron(0 0/6 * * ? *)", keep_count = 20 } } }
    objectives = { rpo_hours = 6 }
  }

  assert {
    condition     = one(one(aws_dlm_lifecycle_policy.this["snapshots"].policy_details[0].schedule).retain_rule).count == 20 && aws_dlm_lifecycle_policy.this["snapshots"].policy_details[0].resource_types[0] == "VOLUME"
    error_message = "The count is lost."
  }

  assert {
    condition     = output.protection[2].kept_days == 5 && output.protection[2].every_hours == 6
    error_message = "The count is not told as days."
  }
}

run "a_throw_away_environment_may_delete_its_key" {
  command = plan

  variables {
    teardown = true
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_kms_key.copies.policy).Statement : statement.Effect == "Allow"])
    error_message = "The key cannot be deleted by a teardown."
  }
}

run "refuses_a_schedule_without_a_create_rule" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { keep_days = 14 } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_an_interval_and_a_cron_together" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { every_hours = 24, cron = "cron(0 3 * * ? *)", keep_days = 14 } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_cron_of_five_fields" {
  command = plan

  variables {
    images = { schedules = { monthly = { cron = "cron(0 4 1 * ?)", keep_days = 190 } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_count_and_an_age_together" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { every_hours = 24, keep_days = 14, keep_count = 14 } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_schedule_without_a_retain_rule" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { every_hours = 24 } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_deprecate_rule_on_snapshots" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { every_hours = 24, keep_days = 14, deprecate_after_days = 7 } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_images_of_volumes" {
  command = plan

  variables {
    images = { resource_type = "VOLUME" }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_policy_without_target_tags" {
  command = plan

  variables {
    target_tags = {}
  }

  expect_failures = [var.target_tags]
}

run "refuses_a_policy_without_schedules" {
  command = plan

  variables {
    snapshots = { schedules = {} }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_an_unencrypted_copy" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { every_hours = 24, keep_days = 14, copy = { encrypted = false } } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_key_for_an_unencrypted_copy_to_nowhere" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { every_hours = 24, keep_days = 14, copy = { region = "nowhere", encrypted = false, kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/a" } } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_copy_to_a_region_that_is_none" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { every_hours = 24, keep_days = 14, copy = { region = "nowhere", kms_key_arn = "arn:aws:kms:nowhere:123456789012:key/a" } } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_copy_within_the_region" {
  command = plan

  variables {
    images = { schedules = { monthly = { cron = "cron(0 4 1 * ? *)", keep_days = 190, copy = { region = "eu-west-1", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/a" } } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_key_of_another_region" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { every_hours = 24, keep_days = 14, copy = { kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/a" } } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_copy_elsewhere_without_a_key_there" {
  command = plan

  variables {
    snapshots = { schedules = { daily = { every_hours = 24, keep_days = 14, copy = { region = "us-east-1" } } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_snapshots_rarer_than_the_rpo" {
  command = plan

  variables {
    objectives = { rpo_hours = 6 }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_snapshots_by_weekday_cron_against_a_daily_rpo" {
  command = plan

  variables {
    snapshots = { schedules = { weekdays = { cron = "cron(0 3 ? * MON-FRI *)", keep_days = 30, copy = { keep_days = 30 } } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_copy_gone_before_the_next_is_made" {
  command = plan

  variables {
    images = { schedules = { monthly = { cron = "cron(0 4 1 * ? *)", keep_days = 190, copy = { keep_days = 30 } } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_images_deprecated_after_they_are_gone" {
  command = plan

  variables {
    images = { schedules = { monthly = { cron = "cron(0 4 1 * ? *)", keep_days = 95, deprecate_after_days = 95 } } }
  }

  expect_failures = [aws_dlm_lifecycle_policy.this]
}

run "refuses_a_copy_in_the_same_region" {
  command = plan

  variables {
    dr_region = "eu-west-1"
  }

  expect_failures = [var.dr_region]
}
