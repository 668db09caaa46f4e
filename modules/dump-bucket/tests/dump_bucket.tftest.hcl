mock_provider "aws" {
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/primary" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { region = "eu-west-1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/app-test-dumps-replication" }
  }
}

mock_provider "aws" {
  alias           = "dr"
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/replica" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { region = "eu-central-1", arn = "arn:aws:s3:::app-test-dumps-123456789012-eu-central-1" }
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
    condition     = aws_s3_bucket.dumps.bucket == "app-test-dumps-123456789012-eu-west-1" && aws_s3_bucket.replica.bucket == "app-test-dumps-123456789012-eu-central-1"
    error_message = "A bucket has another name."
  }
}

run "both_buckets_are_versioned_and_locked" {
  command = plan

  assert {
    condition     = alltrue([for bucket in [aws_s3_bucket.dumps, aws_s3_bucket.replica] : bucket.object_lock_enabled])
    error_message = "A bucket was made without Object Lock."
  }

  assert {
    condition     = alltrue([for versioning in [aws_s3_bucket_versioning.dumps, aws_s3_bucket_versioning.replica] : versioning.versioning_configuration[0].status == "Enabled"])
    error_message = "A bucket is not versioned."
  }

  assert {
    condition     = alltrue([for lock in [aws_s3_bucket_object_lock_configuration.dumps, aws_s3_bucket_object_lock_configuration.replica] : lock.rule[0].default_retention[0].mode == "GOVERNANCE" && lock.rule[0].default_retention[0].days == 7])
    error_message = "A new dump is not locked for 7 days under GOVERNANCE."
  }
}

run "dumps_expire_by_their_tag_in_both_regions_and_superseded_ones_later" {
  command = plan

  assert {
    condition = alltrue([
      for rules in [aws_s3_bucket_lifecycle_configuration.dumps.rule, aws_s3_bucket_lifecycle_configuration.replica.rule] :
      jsonencode({ for rule in rules : rule.filter[0].and[0].tags["lifeboat:keep-as"] => rule.expiration[0].days if startswith(rule.id, "dumps-") })
      == jsonencode({ expire = 1, daily = 35, weekly = 120, monthly = 400, yearly = 1200 })
    ])
    error_message = "Dumps do not expire as they are tagged."
  }

  assert {
    condition = alltrue([
      for rule in concat(aws_s3_bucket_lifecycle_configuration.dumps.rule, aws_s3_bucket_lifecycle_configuration.replica.rule) :
      rule.filter[0].and[0].prefix == "dumps/" if startswith(rule.id, "dumps-")
    ])
    error_message = "A rule for dumps reaches beyond their prefix."
  }

  # What is held, or not judged yet, must not be at the mercy of a rule.
  assert {
    condition = alltrue([
      for rule in concat(aws_s3_bucket_lifecycle_configuration.dumps.rule, aws_s3_bucket_lifecycle_configuration.replica.rule) :
      alltrue([for expiration in rule.expiration : expiration.expired_object_delete_marker]) if !startswith(rule.id, "dumps-")
    ])
    error_message = "A rule expires dumps whatever they are tagged."
  }

  assert {
    condition = anytrue([
      for rule in aws_s3_bucket_lifecycle_configuration.dumps.rule : rule.noncurrent_version_expiration[0].noncurrent_days == 90 && rule.abort_incomplete_multipart_upload[0].days_after_initiation == 7
      if rule.id == "superseded-versions"
    ])
    error_message = "Superseded dumps are not kept 90 days, or broken uploads stay."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.dumps.rule : length(rule.transition) == 0])
    error_message = "Dumps move to another storage class though nobody asked."
  }
}

run "dumps_move_to_infrequent_access_when_asked" {
  command = plan

  variables {
    retention = { current_days = 60, infrequent_access_after_days = 30 }
  }

  assert {
    condition = jsonencode([
      for rule in aws_s3_bucket_lifecycle_configuration.dumps.rule : [rule.filter[0].prefix, one(rule.transition).days, one(rule.transition).storage_class]
      if rule.id == "infrequent-access"
    ]) == jsonencode([["dumps/", 30, "STANDARD_IA"]])
    error_message = "Dumps do not move to infrequent access after 30 days."
  }
}

run "a_tier_that_is_kept_for_fewer_days_than_a_shorter_one_is_refused" {
  command = plan

  variables {
    retention = { weekly_days = 90, monthly_days = 60 }
  }

  expect_failures = [var.retention]
}

run "a_typed_confirmation_allows_compliance" {
  command = plan

  variables {
    object_lock = { mode = "COMPLIANCE", days = 14, confirm = "app-test-dumps-123456789012-eu-west-1" }
  }

  assert {
    condition     = aws_s3_bucket_object_lock_configuration.dumps.rule[0].default_retention[0].mode == "COMPLIANCE"
    error_message = "The confirmed mode was not set."
  }
}

run "versions_locks_and_protection_are_guarded_in_both_regions" {
  command = plan

  assert {
    condition     = alltrue([for policy in [aws_s3_bucket_policy.dumps.policy, aws_s3_bucket_policy.replica.policy] : length(setsubtract(["s3:BypassGovernanceRetention", "s3:DeleteBucketPolicy", "s3:DeleteObjectVersion", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketPolicy", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration"], flatten([for statement in jsondecode(policy).Statement : statement.Action if statement.Effect == "Deny" && can(statement.Condition.ArnNotLike)]))) == 0])
    error_message = "An action that destroys dumps or weakens the bucket is not denied."
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.dumps.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "The bucket answers without TLS."
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_s3_bucket_policy.dumps.policy).Statement : statement.Sid == "NoCustomerKey" && statement.Effect == "Deny"])
    error_message = "A writer may encrypt dumps with a key that only it has."
  }
}

run "only_break_glass_passes_the_guard" {
  command = plan

  variables {
    break_glass_role_arns = ["arn:aws:iam::123456789012:role/administrator"]
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_s3_bucket_policy.dumps.policy).Statement : statement.Condition.ArnNotLike["aws:PrincipalArn"] == ["arn:aws:iam::123456789012:role/administrator", "arn:aws:iam::123456789012:role/app-test-break-glass"] if can(statement.Condition.ArnNotLike)])
    error_message = "Others than the break-glass roles pass the guard."
  }
}

run "nothing_below_the_prefix_is_written_over_in_either_region" {
  command = plan

  variables {
    prefix = "backups/postgres/"
  }

  assert {
    condition = alltrue([
      for region, policy in { "eu-west-1" = aws_s3_bucket_policy.dumps.policy, "eu-central-1" = aws_s3_bucket_policy.replica.policy } : anytrue([
        for statement in jsondecode(policy).Statement :
        jsonencode([statement.Effect, statement.Action, statement.Resource, statement.Condition]) == jsonencode([
          "Deny",
          "s3:PutObject",
          ["arn:aws:s3:::app-test-dumps-123456789012-${region}/backups/postgres/*", "arn:aws:s3:::app-test-dumps-123456789012-${region}/evidence/*"],
          {
            ArnNotLike = { "aws:PrincipalArn" = ["arn:aws:iam::123456789012:role/app-test-break-glass"] }
            Bool       = { "s3:ObjectCreationOperation" = "true" }
            Null       = { "s3:if-none-match" = "true" }
          },
        ]) if statement.Sid == "NothingIsWrittenOver"
      ])
    ])
    error_message = "Who may add dumps may put another one over them."
  }
}

run "evidence_is_hidden_by_nobody_in_either_region" {
  command = plan

  assert {
    condition = alltrue([
      for region, policy in { "eu-west-1" = aws_s3_bucket_policy.dumps.policy, "eu-central-1" = aws_s3_bucket_policy.replica.policy } : anytrue([
        for statement in jsondecode(policy).Statement :
        jsonencode([statement.Effect, statement.Action, statement.Resource, statement.Condition]) == jsonencode([
          "Deny",
          "s3:DeleteObject",
          ["arn:aws:s3:::app-test-dumps-123456789012-${region}/evidence/*"],
          { ArnNotLike = { "aws:PrincipalArn" = ["arn:aws:iam::123456789012:role/app-test-break-glass"] } },
        ]) if statement.Sid == "EvidenceStays"
      ])
    ])
    error_message = "Evidence may be hidden by others than break-glass."
  }
}

run "dumps_do_not_lie_where_evidence_does" {
  command = plan

  variables {
    prefix = "evidence/dumps/"
  }

  expect_failures = [var.prefix]
}

run "the_writer_can_only_add_and_read_manifests_under_the_prefix" {
  command = plan

  variables {
    prefix = "backups/postgres/"
  }

  assert {
    condition     = flatten([for statement in jsondecode(output.writer_policy_json).Statement : statement.Action]) == ["s3:AbortMultipartUpload", "s3:PutObject", "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt", "kms:GenerateDataKey"]
    error_message = "The writer can do more than add and look."
  }

  assert {
    condition     = jsondecode(output.writer_policy_json).Statement[0].Resource == ["arn:aws:s3:::app-test-dumps-123456789012-eu-west-1/backups/postgres/*.zst", "arn:aws:s3:::app-test-dumps-123456789012-eu-west-1/backups/postgres/*/manifest.json"]
    error_message = "The writer can write beside the prefix, or more than dumps: a proof, or that one is kept."
  }

  assert {
    condition     = jsondecode(output.prover_policy_json).Statement[0].Resource == [for region in ["eu-west-1", "eu-central-1"] : "arn:aws:s3:::app-test-dumps-123456789012-${region}/backups/postgres/*/proofs/*.json"]
    error_message = "Who verifies can write something else than proofs, or no proofs."
  }

  assert {
    condition     = flatten([for statement in jsondecode(output.prover_policy_json).Statement : statement.Action]) == ["s3:PutObject", "kms:GenerateDataKey"]
    error_message = "Who verifies can do more than put proofs beside dumps."
  }

  assert {
    condition = (
      jsondecode(output.writer_policy_json).Statement[1].Condition.StringLike["s3:prefix"] == ["backups/postgres/*"] &&
      jsondecode(output.writer_policy_json).Statement[3].Resource == ["arn:aws:s3:::app-test-dumps-123456789012-eu-west-1/backups/postgres/*/manifest.json"]
    )
    error_message = "The writer reads more than the names and manifests of dumps."
  }
}

run "the_reader_changes_nothing" {
  command = plan

  assert {
    condition     = alltrue([for action in flatten([for statement in jsondecode(output.reader_policy_json).Statement : statement.Action]) : can(regex("^(s3:(Get|List)|kms:Decrypt$)", action))])
    error_message = "The reader can change something."
  }

  assert {
    condition     = alltrue([for resource in flatten([for statement in jsondecode(output.reader_policy_json).Statement : statement.Resource if anytrue([for action in statement.Action : startswith(action, "s3:GetObject")])]) : endswith(resource, "/dumps/*")])
    error_message = "The reader can read beside the prefix."
  }
}

run "the_copy_is_timed_encrypted_and_can_read_locks" {
  command = plan

  assert {
    condition     = aws_s3_bucket_replication_configuration.dumps.rule[0].destination[0].encryption_configuration[0].replica_kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/replica"
    error_message = "The copy is not encrypted with the key of the DR region."
  }

  assert {
    condition     = aws_s3_bucket_replication_configuration.dumps.rule[0].destination[0].metrics[0].status == "Enabled" && aws_s3_bucket_replication_configuration.dumps.rule[0].delete_marker_replication[0].status == "Disabled"
    error_message = "A late copy would go unnoticed, or a deletion would be copied."
  }

  assert {
    condition     = length(setsubtract(["s3:GetObjectRetention", "s3:GetObjectLegalHold"], flatten([for statement in jsondecode(aws_iam_role_policy.replication.policy).Statement : statement.Action]))) == 0
    error_message = "Locked dumps cannot be copied: the role may not read locks."
  }
}

run "the_dumps_say_what_protects_them" {
  command = plan

  variables {
    every_hours = 6
  }

  assert {
    condition     = output.protection[0].asset == "dumps" && output.protection[0].every_hours == 6 && output.protection[0].kept_days == 35 && output.protection[0].regions == ["eu-west-1", "eu-central-1"]
    error_message = "protection is ${jsonencode(output.protection)}."
  }
}

run "a_disposable_environment_lets_go" {
  command = plan

  variables {
    teardown = true
  }

  assert {
    condition     = aws_s3_bucket.dumps.force_destroy && aws_s3_bucket.replica.force_destroy
    error_message = "teardown leaves buckets that resist."
  }

  assert {
    condition     = !strcontains(aws_s3_bucket_policy.dumps.policy, "s3:DeleteBucketPolicy") && !strcontains(aws_kms_key.dumps.policy, "Deny")
    error_message = "teardown leaves a guard that keeps its own removal out."
  }

  assert {
    condition     = !aws_kms_key.dumps.bypass_policy_lockout_safety_check && !aws_kms_key.replica.bypass_policy_lockout_safety_check
    error_message = "KMS is told not to look where nobody is kept out."
  }

  assert {
    condition     = strcontains(aws_s3_bucket_policy.dumps.policy, "s3:DeleteObjectVersion")
    error_message = "A disposable environment must still rehearse the guard."
  }
}

run "roles_of_a_disposable_environment_are_still_held_off" {
  command = plan

  variables {
    teardown = true
  }

  assert {
    condition     = one([for statement in jsondecode(aws_s3_bucket_policy.dumps.policy).Statement : statement.Condition.ArnNotLike["aws:PrincipalArn"] if statement.Sid == "ProtectionStays"]) == ["arn:aws:iam::123456789012:role/app-test-break-glass", "arn:aws:iam::123456789012:user/*"]
    error_message = "Others than break-glass and the account's users may weaken the bucket."
  }
}

run "a_kept_environment_holds_on" {
  command = plan

  assert {
    condition     = !aws_s3_bucket.dumps.force_destroy && !aws_s3_bucket.replica.force_destroy
    error_message = "A bucket with dumps in it could be emptied by a destroy."
  }

  assert {
    condition     = alltrue([for key in [aws_kms_key.dumps, aws_kms_key.replica] : key.enable_key_rotation && key.deletion_window_in_days == 30 && strcontains(key.policy, "kms:ScheduleKeyDeletion")])
    error_message = "A key does not rotate, or may be deleted by anybody or in less than 30 days."
  }

  assert {
    condition = alltrue([
      for key in [aws_kms_key.dumps, aws_kms_key.replica] : alltrue([
        for statement in jsondecode(key.policy).Statement :
        statement.Action == ["kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"] && statement.Condition.ArnNotLike["aws:PrincipalArn"] == ["arn:aws:iam::123456789012:role/app-test-break-glass"]
        if statement.Effect == "Deny"
      ])
    ])
    error_message = "Others than break-glass may take the guard of a key away."
  }

  # Else KMS refuses to make a key whose policy keeps its maker out.
  assert {
    condition     = alltrue([for key in [aws_kms_key.dumps, aws_kms_key.replica] : key.bypass_policy_lockout_safety_check])
    error_message = "An apply cannot make the keys."
  }
}

run "a_provider_in_another_region_is_refused" {
  command = plan

  variables {
    region = "eu-north-1"
  }

  expect_failures = [aws_s3_bucket.dumps]
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

run "an_rpo_of_zero_is_refused" {
  command = plan

  variables {
    objectives = { rpo_hours = 0 }
  }

  expect_failures = [var.objectives]
}

run "dumps_rarer_than_the_rpo_are_refused" {
  command = plan

  variables {
    every_hours = 48
  }

  expect_failures = [var.every_hours]
}

run "a_prefix_without_a_slash_is_refused" {
  command = plan

  variables {
    prefix = "dumps"
  }

  expect_failures = [var.prefix]
}

run "a_prefix_with_a_wildcard_is_refused" {
  command = plan

  variables {
    prefix = "*/"
  }

  expect_failures = [var.prefix]
}

run "a_retention_in_half_days_is_refused" {
  command = plan

  variables {
    retention = { current_days = 35.5 }
  }

  expect_failures = [var.retention]
}

run "aborting_uploads_of_dumps_that_are_still_made_is_refused" {
  command = plan

  variables {
    retention = { abort_multipart_days = 2 }
  }

  expect_failures = [var.retention]
}

run "a_retention_under_thirty_days_is_refused" {
  command = plan

  variables {
    retention = { current_days = 14 }
  }

  expect_failures = [var.retention]
}

run "superseded_dumps_that_go_before_current_ones_are_refused" {
  command = plan

  variables {
    retention = { current_days = 60, superseded_days = 30 }
  }

  expect_failures = [var.retention]
}

run "a_retention_shorter_than_the_lock_is_refused" {
  command = plan

  variables {
    object_lock = { days = 40 }
  }

  expect_failures = [var.retention]
}

run "a_lock_shorter_than_the_rpo_is_refused" {
  command = plan

  variables {
    objectives  = { rpo_hours = 72 }
    object_lock = { days = 2 }
  }

  expect_failures = [var.object_lock]
}

run "infrequent_access_before_day_thirty_is_refused" {
  command = plan

  variables {
    retention = { infrequent_access_after_days = 5 }
  }

  expect_failures = [var.retention]
}

run "infrequent_access_just_before_expiry_is_refused" {
  command = plan

  variables {
    retention = { infrequent_access_after_days = 30 }
  }

  expect_failures = [var.retention]
}

run "an_unknown_lock_mode_is_refused" {
  command = plan

  variables {
    object_lock = { mode = "governance" }
  }

  expect_failures = [var.object_lock]
}

run "a_lock_of_no_days_is_refused" {
  command = plan

  variables {
    object_lock = { days = 0 }
  }

  expect_failures = [var.object_lock]
}

run "compliance_without_a_confirmation_is_refused" {
  command = plan

  variables {
    object_lock = { mode = "COMPLIANCE" }
  }

  expect_failures = [var.object_lock]
}

run "compliance_confirmed_for_another_bucket_is_refused" {
  command = plan

  variables {
    object_lock = { mode = "COMPLIANCE", confirm = "app-other-dumps-123456789012-eu-west-1" }
  }

  expect_failures = [var.object_lock]
}

run "compliance_in_a_disposable_environment_is_refused" {
  command = plan

  variables {
    teardown    = true
    object_lock = { mode = "COMPLIANCE", confirm = "app-test-dumps-123456789012-eu-west-1" }
  }

  expect_failures = [var.object_lock]
}

run "a_wildcard_break_glass_role_is_refused" {
  command = plan

  variables {
    break_glass_role_arns = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [var.break_glass_role_arns]
}
