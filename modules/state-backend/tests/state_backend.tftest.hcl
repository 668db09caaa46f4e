mock_provider "aws" {
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/primary" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { region = "eu-west-1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/app-test-tfstate-replication" }
  }
}

mock_provider "aws" {
  alias           = "dr"
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/replica" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { region = "eu-central-1", arn = "arn:aws:s3:::app-test-tfstate-123456789012-eu-central-1" }
  }
}

variables {
  name        = "app-test"
  environment = "test"
  account_id  = "123456789012"
  region      = "eu-west-1"
  dr_region   = "eu-central-1"
}

run "names_follow_the_convention" {
  command = plan

  assert {
    condition     = aws_s3_bucket.state.bucket == "app-test-tfstate-123456789012-eu-west-1"
    error_message = "The bucket has another name."
  }

  assert {
    condition     = aws_s3_bucket.replica.bucket == "app-test-tfstate-123456789012-eu-central-1"
    error_message = "The replica has another name."
  }

  assert {
    condition     = output.lock_table == "app-test-tflock"
    error_message = "The lock table has another name."
  }
}

run "keys_rotate_and_wait_thirty_days" {
  command = plan

  assert {
    condition     = alltrue([for key in [aws_kms_key.state, aws_kms_key.replica] : key.enable_key_rotation && key.deletion_window_in_days == 30])
    error_message = "A key does not rotate, or may be deleted in less than 30 days."
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_kms_key.state.policy).Statement : statement.Effect == "Deny" && contains(flatten([statement.Action]), "kms:ScheduleKeyDeletion")])
    error_message = "The key may be deleted by anybody with the right in IAM."
  }
}

run "versions_and_protection_are_guarded_in_both_regions" {
  command = plan

  variables {
    break_glass_role_arns = ["arn:aws:iam::123456789012:role/administrator"]
  }

  assert {
    condition = alltrue([
      for policy in [aws_s3_bucket_policy.state.policy, aws_s3_bucket_policy.replica.policy] : length(setsubtract(
        ["s3:DeleteObjectVersion", "s3:PutLifecycleConfiguration", "s3:PutBucketVersioning", "s3:PutBucketPolicy", "s3:PutReplicationConfiguration", "s3:DeleteBucketPolicy"],
        flatten([for statement in jsondecode(policy).Statement : statement.Action if statement.Effect == "Deny" && can(statement.Condition.ArnNotLike)])
      )) == 0
    ])
    error_message = "An action that destroys versions or weakens the bucket is not denied."
  }

  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement :
      statement.Condition.ArnNotLike["aws:PrincipalArn"] == ["arn:aws:iam::123456789012:role/administrator", "arn:aws:iam::123456789012:role/app-test-break-glass"]
      if can(statement.Condition.ArnNotLike)
    ]))
    error_message = "Others than the break-glass roles pass the guard."
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.state.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "The bucket answers without TLS."
  }
}

run "digests_of_evidence_are_written_once_and_stay" {
  command = plan

  assert {
    condition = {
      for statement in jsondecode(aws_s3_bucket_policy.replica.policy).Statement : statement.Sid => [statement.Action, statement.Resource] if startswith(statement.Sid, "Digests")
      } == {
      DigestsAreNotWrittenOver = ["s3:PutObject", ["arn:aws:s3:::app-test-tfstate-123456789012-eu-central-1/app-test/evidence/*"]]
      DigestsStay              = ["s3:DeleteObject", ["arn:aws:s3:::app-test-tfstate-123456789012-eu-central-1/app-test/evidence/*"]]
    }
    error_message = "A digest may be written over, or hidden."
  }

  assert {
    condition     = !strcontains(aws_s3_bucket_policy.state.policy, "Digests")
    error_message = "The bucket of the states guards what does not lie in it."
  }
}

run "each_region_accepts_only_its_own_key" {
  command = plan

  assert {
    condition = [
      for policy in [aws_s3_bucket_policy.state.policy, aws_s3_bucket_policy.replica.policy] :
      one([for statement in jsondecode(policy).Statement : statement.Condition.StringNotEquals["s3:x-amz-server-side-encryption-aws-kms-key-id"] if statement.Sid == "NoOtherKey"])
    ] == ["arn:aws:kms:eu-west-1:123456789012:key/primary", "arn:aws:kms:eu-central-1:123456789012:key/replica"]
    error_message = "A bucket accepts objects under a key that is not its own."
  }
}

run "superseded_versions_expire_and_nothing_is_archived" {
  command = plan

  variables {
    retention = { superseded_days = 120 }
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.state.rule : rule.noncurrent_version_expiration[0].noncurrent_days] == [120, 1, 1]
    error_message = "Superseded states must be kept 120 days and spent locks one day."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.state.rule : length(rule.transition) == 0 && length(rule.noncurrent_version_transition) == 0])
    error_message = "State was moved to another storage class."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.state.rule : rule.expiration[0].expired_object_delete_marker])
    error_message = "Delete markers of lock files pile up."
  }
}

run "the_copy_is_timed_and_encrypted_with_the_key_of_its_region" {
  command = plan

  assert {
    condition     = aws_s3_bucket_replication_configuration.state.rule[0].destination[0].encryption_configuration[0].replica_kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/replica"
    error_message = "The copy is not encrypted with the key of the DR region."
  }

  assert {
    condition     = aws_s3_bucket_replication_configuration.state.rule[0].destination[0].replication_time[0].time[0].minutes == 15 && aws_s3_bucket_replication_configuration.state.rule[0].destination[0].metrics[0].status == "Enabled"
    error_message = "Nobody would notice that the copy is late."
  }

  assert {
    condition     = aws_s3_bucket_replication_configuration.state.rule[0].delete_marker_replication[0].status == "Disabled"
    error_message = "A deleted state would be hidden in the copy too."
  }
}

run "the_lock_table_is_recoverable_and_resists_deletion" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.lock.point_in_time_recovery[0].enabled && aws_dynamodb_table.lock.server_side_encryption[0].enabled && aws_dynamodb_table.lock.deletion_protection_enabled
    error_message = "The lock table lacks PITR, encryption or deletion protection."
  }
}

run "both_locks_by_default" {
  command = plan

  assert {
    condition = output.backend == tomap({
      bucket         = "app-test-tfstate-123456789012-eu-west-1"
      region         = "eu-west-1"
      encrypt        = "true"
      kms_key_id     = "arn:aws:kms:eu-west-1:123456789012:key/primary"
      dynamodb_table = "app-test-tflock"
      use_lockfile   = "true"
    })
    error_message = "The backend's settings are ${jsonencode(output.backend)}."
  }
}

run "dynamodb_lock_only" {
  command = plan

  variables {
    lock_mode = "dynamodb"
  }

  assert {
    condition     = !contains(keys(output.backend), "use_lockfile") && output.backend["dynamodb_table"] == "app-test-tflock"
    error_message = "lock_mode dynamodb gives ${jsonencode(output.backend)}."
  }
}

run "lock_file_only" {
  command = plan

  variables {
    lock_mode = "lockfile"
  }

  assert {
    condition     = !contains(keys(output.backend), "dynamodb_table") && output.backend["use_lockfile"] == "true"
    error_message = "lock_mode lockfile gives ${jsonencode(output.backend)}."
  }
}

run "a_user_of_the_state_can_delete_locks_only" {
  command = plan

  assert {
    condition = flatten([for statement in jsondecode(output.iam_policy_json).Statement : statement.Resource if contains(statement.Action, "s3:DeleteObject")]) == [
      "arn:aws:s3:::app-test-tfstate-123456789012-eu-west-1/stack.tfstate.tflock",
      "arn:aws:s3:::app-test-tfstate-123456789012-eu-west-1/state.tfstate.tflock",
    ]
    error_message = "The policy lets its holder delete more than lock files."
  }

  assert {
    condition     = !anytrue(flatten([for statement in jsondecode(output.iam_policy_json).Statement : [for action in statement.Action : endswith(action, "*") || action == "s3:DeleteObjectVersion"]]))
    error_message = "The policy has wildcard actions or deletes versions."
  }

  assert {
    condition = flatten([for statement in jsondecode(output.iam_policy_json).Statement : statement.Resource if statement.Sid == "RememberSoundStates"]) == [
      "arn:aws:s3:::app-test-tfstate-123456789012-eu-central-1/known-states/test/*",
    ]
    error_message = "The policy lets its holder write more into the DR region than what is known of the states."
  }

  assert {
    condition     = !anytrue(flatten([for statement in jsondecode(output.iam_policy_json).Statement : [for resource in statement.Resource : contains(statement.Action, "s3:PutObject") && endswith(resource, "eu-central-1/stack.tfstate")]]))
    error_message = "The policy lets its holder write over the copies of a state."
  }
}

run "the_state_says_what_protects_it" {
  command = plan

  assert {
    condition     = output.protection[0].asset == "state" && output.protection[0].kept_days == 365 && output.protection[0].regions == ["eu-west-1", "eu-central-1"]
    error_message = "protection is ${jsonencode(output.protection)}."
  }
}

run "a_disposable_environment_lets_go" {
  command = plan

  variables {
    teardown = true
  }

  assert {
    condition     = aws_s3_bucket.state.force_destroy && aws_s3_bucket.replica.force_destroy && !aws_dynamodb_table.lock.deletion_protection_enabled
    error_message = "teardown leaves something that resists."
  }

  assert {
    condition     = !strcontains(aws_s3_bucket_policy.state.policy, "s3:DeleteBucketPolicy") && !strcontains(aws_kms_key.state.policy, "Deny")
    error_message = "teardown leaves a guard that keeps its own removal out."
  }

  assert {
    condition     = strcontains(aws_s3_bucket_policy.state.policy, "s3:DeleteObjectVersion")
    error_message = "A disposable environment must still rehearse the guard."
  }
}

run "roles_of_a_disposable_environment_are_still_held_off" {
  command = plan

  variables {
    teardown = true
  }

  assert {
    condition     = one([for statement in jsondecode(aws_s3_bucket_policy.state.policy).Statement : statement.Condition.ArnNotLike["aws:PrincipalArn"] if statement.Sid == "ProtectionStays"]) == ["arn:aws:iam::123456789012:role/app-test-break-glass", "arn:aws:iam::123456789012:user/*"]
    error_message = "Others than break-glass and the account's users may weaken the bucket."
  }
}

run "a_kept_environment_holds_on" {
  command = plan

  assert {
    condition     = !aws_s3_bucket.state.force_destroy && !aws_s3_bucket.replica.force_destroy
    error_message = "A bucket with states in it could be emptied by a destroy."
  }
}

run "a_provider_in_another_region_is_refused" {
  command = plan

  variables {
    region = "eu-north-1"
  }

  expect_failures = [aws_s3_bucket.state]
}

run "a_dr_provider_in_another_region_is_refused" {
  command = plan

  variables {
    dr_region = "eu-north-1"
  }

  expect_failures = [aws_s3_bucket.replica]
}

run "a_name_with_capitals_is_refused" {
  command = plan

  variables {
    name = "App_Test"
  }

  expect_failures = [var.name]
}

run "a_name_too_long_for_s3_is_refused" {
  command = plan

  variables {
    name = "application-in-the-north-east-production"
  }

  expect_failures = [var.name]
}

run "an_account_that_is_not_twelve_digits_is_refused" {
  command = plan

  variables {
    account_id = "1234-5678-9012"
  }

  expect_failures = [var.account_id]
}

run "a_dr_region_that_is_the_region_is_refused" {
  command = plan

  variables {
    dr_region = "eu-west-1"
  }

  expect_failures = [var.dr_region]
}

run "an_rpo_shorter_than_the_copy_takes_is_refused" {
  command = plan

  variables {
    objectives = { rpo_hours = 0.1 }
  }

  expect_failures = [var.objectives]
}

run "an_rto_of_zero_is_refused" {
  command = plan

  variables {
    objectives = { rto_hours = 0 }
  }

  expect_failures = [var.objectives]
}

run "an_unknown_lock_mode_is_refused" {
  command = plan

  variables {
    lock_mode = "s3"
  }

  expect_failures = [var.lock_mode]
}

run "a_retention_under_ninety_days_is_refused" {
  command = plan

  variables {
    retention = { superseded_days = 30 }
  }

  expect_failures = [var.retention]
}

run "a_retention_shorter_than_the_rpo_is_refused" {
  command = plan

  variables {
    retention  = { superseded_days = 90 }
    objectives = { rpo_hours = 2400 }
  }

  expect_failures = [var.retention]
}

run "a_wildcard_break_glass_role_is_refused" {
  command = plan

  variables {
    break_glass_role_arns = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [var.break_glass_role_arns]
}

run "a_state_key_that_climbs_out_is_refused" {
  command = plan

  variables {
    state_keys = ["../stack.tfstate"]
  }

  expect_failures = [var.state_keys]
}
