mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/a-role" }
  }
}

variables {
  name        = "app-test"
  environment = "test"
  account_id  = "123456789012"
  policies = {
    writer = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"AddDumps\"}]}"
    reader = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"ReadDumps\"}]}"
    prover = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"AddProofs\"}]}"
    state  = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"UseState\"}]}"

    state_reader = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"ReadTheStacksState\"}]}"
  }
}

run "there_are_five_roles_named_after_the_application" {
  command = plan

  assert {
    condition     = sort([for role in aws_iam_role.this : role.name]) == tolist(["app-test-break-glass", "app-test-restore-operator", "app-test-retention", "app-test-verifier", "app-test-writer"])
    error_message = "The roles have other names."
  }

  assert {
    condition     = sort(keys(output.role_arns)) == tolist(["break_glass", "restore_operator", "retention", "verifier", "writer"])
    error_message = "The output names other roles."
  }
}

run "each_role_gets_the_policies_for_its_work" {
  command = plan

  assert {
    condition     = sort(keys(aws_iam_role_policy.given)) == tolist(["restore_operator/reader", "restore_operator/state", "retention/reader", "retention/state_reader", "verifier/prover", "verifier/reader", "verifier/state_reader", "writer/writer"])
    error_message = "A policy went to another role, or to none."
  }

  assert {
    condition     = aws_iam_role_policy.given["writer/writer"].policy == var.policies.writer
    error_message = "The policy was changed on its way."
  }
}

run "who_marks_dumps_to_go_does_nothing_else" {
  command = plan

  variables {
    trusted = { retention_services = ["ecs-tasks.amazonaws.com"] }
  }

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.own["retention"].policy).Statement : statement.Action if statement.Effect == "Allow"])) == toset(["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "kms:Decrypt", "s3:PutObjectTagging"])
    error_message = "Who marks dumps may do more: ${aws_iam_role_policy.own["retention"].policy}."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.own["retention"].policy).Statement[1].Condition == { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["lifeboat/test"] } }
    error_message = "It may write more into the lock table than that it holds the environment."
  }

  assert {
    condition = (
      jsondecode(aws_iam_role.this["retention"].assume_role_policy).Statement[1].Principal.Service == ["ecs-tasks.amazonaws.com"] &&
      jsondecode(aws_iam_role.this["restore_operator"].assume_role_policy).Statement[1].Principal.Service == ["backup.amazonaws.com"]
    )
    error_message = "A container that marks dumps may restore, or may not mark them."
  }
}

run "a_pipeline_of_one_branch_drills_as_the_restore_operator" {
  command = plan

  variables {
    trusted = {
      pipeline = {
        provider_arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.com"
        issuer       = "gitlab.com"
        audience     = "https://sts.amazonaws.com"
        subject      = "project_path:group/project:ref_type:branch:ref:main"
      }
    }
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["restore_operator"].assume_role_policy).Statement[2].Condition == { StringEquals = { "gitlab.com:aud" = ["https://sts.amazonaws.com"], "gitlab.com:sub" = ["project_path:group/project:ref_type:branch:ref:main"] } }
    error_message = "Other pipelines restore: ${aws_iam_role.this["restore_operator"].assume_role_policy}."
  }

  assert {
    condition     = alltrue([for role, made in aws_iam_role.this : role == "restore_operator" || !strcontains(made.assume_role_policy, "Federated")])
    error_message = "A pipeline may take another role."
  }
}

run "a_pipeline_of_any_branch_is_refused" {
  command = plan

  variables {
    trusted = {
      pipeline = {
        provider_arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.com"
        issuer       = "gitlab.com"
        audience     = "https://sts.amazonaws.com"
        subject      = "project_path:group/project:ref_type:branch:ref:*"
      }
    }
  }

  expect_failures = [var.trusted]
}

run "the_restore_role_may_really_restore" {
  command = plan

  assert {
    condition     = sort([for attachment in aws_iam_role_policy_attachment.restores : attachment.policy_arn]) == tolist(["arn:aws:iam::aws:policy/AWSBackupServiceRolePolicyForS3Restore", "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForRestores"])
    error_message = "Restores with this role would fail for want of rights."
  }

  assert {
    condition     = length(setsubtract(["backup:StartRestoreJob", "rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime", "ec2:RunInstances"], flatten([for statement in jsondecode(aws_iam_role_policy.own["restore_operator"].policy).Statement : statement.Action if statement.Effect == "Allow"]))) == 0
    error_message = "The restore operator cannot restore."
  }

  assert {
    condition     = contains(jsondecode(aws_iam_role.this["restore_operator"].assume_role_policy).Statement[1].Principal.Service, "backup.amazonaws.com")
    error_message = "AWS Backup may not use the role for its restores."
  }
}

run "the_restore_role_may_replace_the_applications_instance_and_no_other" {
  command = plan

  assert {
    condition     = length([for statement in jsondecode(aws_iam_role_policy.own["restore_operator"].policy).Statement : statement if contains(flatten([statement.Action]), "ec2:TerminateInstances") && try(statement.Condition.StringEquals["aws:ResourceTag/application"], "") == "app-test"]) == 1
    error_message = "A recovery could not end the old instance."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.own["restore_operator"].policy).Statement : can(statement.Condition) if contains(flatten([statement.Action]), "ec2:TerminateInstances")])
    error_message = "It may end anybody's instances."
  }

}

run "the_restore_role_may_make_images_and_run_scripts_on_the_host" {
  command = plan

  assert {
    condition     = length(setsubtract(["ec2:CopyImage", "ec2:CreateImage", "ec2:CreateTags", "ec2:RegisterImage", "kms:CreateGrant", "ssm:CancelCommand", "ssm:ListCommands", "ssm:SendCommand"], flatten([for statement in jsondecode(aws_iam_role_policy.own["restore_operator"].policy).Statement : statement.Action if statement.Effect == "Allow"]))) == 0
    error_message = "lifeboat ami or lifeboat app would be refused."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.own["restore_operator"].policy).Statement : statement.Condition.StringEquals["aws:ResourceTag/application"] == "app-test" && (statement.Sid == "UseTheKeysOfSecretsAndDumps" || toset(statement.Condition.StringLike["kms:ViaService"]) == toset(["ec2.*.amazonaws.com", "rds.*.amazonaws.com"])) if contains(flatten([statement.Action]), "kms:Decrypt")])
    error_message = "It may use keys of others, or for more than volumes, secrets and dumps."
  }
}

run "no_role_but_break_glass_destroys_copies" {
  command = plan

  assert {
    condition     = alltrue([for role in ["writer", "verifier", "restore_operator"] : length(setsubtract(["backup:DeleteRecoveryPoint", "ec2:DeleteSnapshot", "ec2:DeregisterImage", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "rds:DeleteDBInstanceAutomatedBackup", "rds:DeleteDBSnapshot", "s3:BypassGovernanceRetention", "s3:DeleteObjectVersion", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration"], flatten([for statement in jsondecode(aws_iam_role_policy.own[role].policy).Statement : statement.Action if statement.Effect == "Deny"]))) == 0])
    error_message = "A daily role may destroy a copy."
  }

  assert {
    condition     = length(flatten([for statement in jsondecode(aws_iam_role_policy.own["break_glass"].policy).Statement : statement.Action if statement.Effect == "Deny"])) == 0 && contains(flatten([for statement in jsondecode(aws_iam_role_policy.own["break_glass"].policy).Statement : statement.Action if statement.Effect == "Allow"]), "s3:DeleteObjectVersion")
    error_message = "Break-glass does not break the glass."
  }

  assert {
    condition     = length(setsubtract(["kms:PutKeyPolicy", "s3:PutEncryptionConfiguration", "s3:PutReplicationConfiguration"], flatten([for statement in jsondecode(aws_iam_role_policy.own["break_glass"].policy).Statement : statement.Action if statement.Effect == "Allow"]))) == 0
    error_message = "What the guards leave to break-glass alone, nobody may do."
  }

  assert {
    condition     = alltrue([for role, policy in aws_iam_role_policy.own : role == "break_glass" || !strcontains(policy.policy, "s3:PutObjectRetention")])
    error_message = "A daily role may change how long an object is locked."
  }
}

run "clearing_up_needs_the_mark_of_a_run" {
  command = plan

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.own["restore_operator"].policy).Statement : statement.Sid == "ReplaceTheInstance" || try(statement.Condition.Null["aws:ResourceTag/lifeboat:run"], "") == "false" if statement.Effect == "Allow" && length(setintersection(flatten([statement.Action]), ["ec2:TerminateInstances", "rds:DeleteDBInstance", "ec2:DeregisterImage"])) > 0])
    error_message = "The restore operator may delete what no run has made."
  }
}

run "who_restores_finds_and_clears_what_drills_left" {
  command = plan

  assert {
    condition = alltrue([
      for action in ["secretsmanager:ListSecrets", "sns:ListSubscriptions", "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:ListQueues"] :
      anytrue([for statement in jsondecode(aws_iam_policy.adopts.policy).Statement : statement.Effect == "Allow" && contains(statement.Action, action) && statement.Resource == ["*"]])
    ])
    error_message = "A sweep could not look for what drills left: ${aws_iam_policy.adopts.policy}."
  }

  assert {
    condition = {
      for statement in jsondecode(aws_iam_policy.adopts.policy).Statement : join(" ", statement.Action) => statement.Resource
      if length(setintersection(statement.Action, ["sns:Unsubscribe", "sqs:DeleteQueue", "sqs:GetQueueUrl"])) > 0
      } == {
      "sqs:DeleteQueue sqs:GetQueueUrl" = ["arn:aws:sqs:*:123456789012:app-test-drill-*"]
      "sns:Unsubscribe"                 = ["arn:aws:sns:*:123456789012:app-test-*"]
    }
    error_message = "A sweep could not clear queues of drills, or could clear those of others."
  }
}

run "the_mark_of_a_run_comes_with_the_making_and_only_it_is_taken_off" {
  command = plan

  assert {
    condition = jsonencode([
      for statement in jsondecode(aws_iam_policy.adopts.policy).Statement : statement.Condition if statement.Effect == "Deny" && contains(statement.Action, "rds:AddTagsToResource")
      ]) == jsonencode([{
        "ForAnyValue:StringEqualsIgnoreCase" = { "aws:TagKeys" = ["lifeboat:run"] }
        Null                                 = { "aws:ResourceTag/application" = "false" }
    }])
    error_message = "The restore operator may mark what no run has made, and then delete it."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_policy.adopts.policy).Statement : try(statement.Condition["ForAllValues:StringEquals"]["aws:TagKeys"], []) == ["lifeboat:run"] if contains(statement.Action, "rds:RemoveTagsFromResource")])
    error_message = "The restore operator may take off the tags that say what is protected."
  }

  assert {
    condition     = length([for statement in jsondecode(aws_iam_policy.adopts.policy).Statement : statement if statement.Effect == "Deny" && contains(statement.Action, "rds:DeleteDBInstance") && try(statement.Condition.Null["aws:ResourceTag/lifeboat:run"], "") == "true"]) == 1
    error_message = "With AWS's policy for restores it may delete any database."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_policy.adopts.policy).Statement : statement.Condition.Null["aws:RequestTag/lifeboat:run"] == "false" if contains(statement.Action, "rds:CreateDBInstance")])
    error_message = "It may make databases that are of no run."
  }
}

run "an_adoption_lets_the_application_and_the_dump_job_read_the_next_password" {
  command = plan

  assert {
    condition     = flatten([for statement in jsondecode(aws_iam_policy.adopts.policy).Statement : statement.Resource if contains(statement.Action, "iam:PutRolePolicy")]) == ["arn:aws:iam::123456789012:role/app-test-app", "arn:aws:iam::123456789012:role/app-test-dump"]
    error_message = "An adoption would be refused, or other roles could be given rights."
  }
}

run "the_verifier_only_looks" {
  command = plan

  assert {
    condition     = alltrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.own["verifier"].policy).Statement : statement.Action if statement.Effect == "Allow"]) : can(regex("^[a-z0-9]+:(Describe|Get|List)", action)) || action == "cloudwatch:PutMetricData"])
    error_message = "The verifier may change something."
  }
}

run "evidence_is_added_to_and_read_and_never_changed" {
  command = plan

  assert {
    condition     = flatten([for statement in jsondecode(aws_iam_policy.adds_evidence.policy).Statement : statement.Action]) == ["s3:PutObject", "kms:GenerateDataKey"]
    error_message = "Who recovers may do more with evidence than add to it."
  }

  assert {
    condition     = flatten([for statement in jsondecode(aws_iam_policy.reads_evidence.policy).Statement : statement.Action]) == ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucket", "s3:ListBucketVersions", "s3:GetObject", "kms:Decrypt"]
    error_message = "Who reads evidence may do more than that."
  }

  assert {
    condition = alltrue([
      for statement in concat(jsondecode(aws_iam_policy.adds_evidence.policy).Statement, jsondecode(aws_iam_policy.reads_evidence.policy).Statement) :
      statement.Resource == ["arn:aws:s3:::app-test-dumps-123456789012-*/evidence/*", "arn:aws:s3:::app-test-tfstate-123456789012-*/app-test/evidence/*"]
      if anytrue([for action in statement.Action : contains(["s3:GetObject", "s3:PutObject"], action)])
    ])
    error_message = "The rights reach beyond evidence."
  }

  assert {
    condition     = aws_iam_role_policy_attachment.adds_evidence.role == "app-test-restore-operator" && sort([for one in aws_iam_role_policy_attachment.reads_evidence : one.role]) == tolist(["app-test-restore-operator", "app-test-verifier"])
    error_message = "Others than who recovers add evidence, or the verifier cannot read it."
  }
}

run "nobody_may_do_everything" {
  command = plan

  assert {
    condition     = alltrue(flatten([for policy in aws_iam_role_policy.own : [for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !endswith(action, ":*") && action != "*" if statement.Effect == "Allow"]]]))
    error_message = "A role has all actions of a service."
  }
}

run "policies_fit_into_a_role" {
  command = plan

  variables {
    name             = "app-with-the-longest-name"
    passed_role_arns = ["arn:aws:iam::123456789012:role/app-with-the-longest-name-app", "arn:aws:iam::123456789012:role/app-with-the-longest-name-backup"]
  }

  # Those given by the stack, for dumps and states, come to less than 3,500 (tests/modules/test_stack_plan.py).
  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.own : length(policy.policy) <= 10240 - 3500])
    error_message = "IAM allows a role 10,240 characters of policies in it, and those given come on top."
  }

  assert {
    condition     = alltrue([for policy in [aws_iam_policy.adopts, aws_iam_policy.adds_evidence, aws_iam_policy.reads_evidence] : length(policy.policy) <= 6144])
    error_message = "IAM allows a managed policy 6,144 characters."
  }
}

run "break_glass_wants_a_second_factor" {
  command = plan

  assert {
    condition     = jsondecode(aws_iam_role.this["break_glass"].assume_role_policy).Statement[0].Condition.Bool["aws:MultiFactorAuthPresent"] == "true"
    error_message = "Break-glass can be taken with a password alone."
  }

  assert {
    condition     = aws_iam_role.this["break_glass"].max_session_duration == 3600
    error_message = "Break-glass lasts longer than an hour."
  }
}

run "only_the_trusted_take_a_role" {
  command = plan

  variables {
    trusted = { verifier = ["arn:aws:iam::123456789012:role/night-watch"], writer_services = ["ec2.amazonaws.com"] }
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["verifier"].assume_role_policy).Statement[0].Principal.AWS == ["arn:aws:iam::123456789012:role/night-watch"]
    error_message = "Others may take the verifier role."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["writer"].assume_role_policy).Statement[0].Principal.AWS == ["arn:aws:iam::123456789012:root"] && jsondecode(aws_iam_role.this["writer"].assume_role_policy).Statement[1].Principal.Service == ["ec2.amazonaws.com"]
    error_message = "The account or its instances cannot take the writer role."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["writer"].assume_role_policy).Statement[1].Condition.StringEqualsIfExists["aws:SourceAccount"] == "123456789012"
    error_message = "A service may be used from another account."
  }
}

run "the_restore_operator_passes_named_roles_only" {
  command = plan

  variables {
    passed_role_arns = ["arn:aws:iam::123456789012:role/app-test-instance"]
  }

  assert {
    condition     = flatten([for statement in jsondecode(aws_iam_role_policy.own["restore_operator"].policy).Statement : statement.Resource if contains(flatten([statement.Action]), "iam:PassRole")]) == ["arn:aws:iam::123456789012:role/app-test-instance", "arn:aws:iam::123456789012:role/app-test-restore-operator"]
    error_message = "Other roles can be passed."
  }
}

run "a_name_with_capitals_is_refused" {
  command = plan

  variables {
    name = "App_Test"
  }

  expect_failures = [var.name]
}

run "a_name_too_long_for_a_role_is_refused" {
  command = plan

  variables {
    name = "an-application-with-quite-a-long-name-in-production"
  }

  expect_failures = [var.name]
}

run "an_account_that_is_not_twelve_digits_is_refused" {
  command = plan

  variables {
    account_id = "1234"
  }

  expect_failures = [var.account_id]
}

run "a_policy_for_an_unknown_use_is_refused" {
  command = plan

  variables {
    policies = { dumper = "{\"Statement\":[]}" }
  }

  expect_failures = [var.policies]
}

run "a_policy_that_is_no_json_is_refused" {
  command = plan

  variables {
    policies = { writer = "s3:PutObject" }
  }

  expect_failures = [var.policies]
}

run "a_wildcard_in_trust_is_refused" {
  command = plan

  variables {
    trusted = { break_glass = ["arn:aws:iam::123456789012:role/*"] }
  }

  expect_failures = [var.trusted]
}

run "trust_in_everybody_is_refused" {
  command = plan

  variables {
    trusted = { verifier = ["*"] }
  }

  expect_failures = [var.trusted]
}

run "a_scheduled_job_takes_the_role_that_it_is_given_and_no_other" {
  command = plan

  variables {
    trusted = { verifier_services = ["ecs-tasks.amazonaws.com"] }
  }

  assert {
    condition = (
      jsondecode(aws_iam_role.this["verifier"].assume_role_policy).Statement[1].Principal.Service == ["ecs-tasks.amazonaws.com"] &&
      jsondecode(aws_iam_role.this["verifier"].assume_role_policy).Statement[1].Condition.StringEqualsIfExists["aws:SourceAccount"] == "123456789012" &&
      jsondecode(aws_iam_role.this["restore_operator"].assume_role_policy).Statement[1].Principal.Service == ["backup.amazonaws.com"]
    )
    error_message = "A job cannot verify, or takes a role that it was not given."
  }
}

run "a_service_that_runs_no_job_is_refused" {
  command = plan

  variables {
    trusted = { restore_operator_services = ["ec2.amazonaws.com"] }
  }

  expect_failures = [var.trusted]
}

run "a_service_that_runs_no_dumps_is_refused" {
  command = plan

  variables {
    trusted = { writer_services = ["s3.amazonaws.com"] }
  }

  expect_failures = [var.trusted]
}

run "passing_any_role_is_refused" {
  command = plan

  variables {
    passed_role_arns = ["*"]
  }

  expect_failures = [var.passed_role_arns]
}

run "only_the_restore_operator_keeps_tags_and_copies" {
  command = plan

  assert {
    condition = jsonencode({ for role, policy in aws_iam_role_policy.own : role => sort(distinct([
      for action in flatten([for statement in jsondecode(policy.policy).Statement : statement.Action if statement.Effect == "Allow"]) : action
      if contains(["s3:PutObjectTagging", "rds:AddTagsToResource", "rds:CopyDBSnapshot", "rds:CreateDBSnapshot", "rds:RemoveTagsFromResource"], action)
      ])) }) == jsonencode({
      writer           = []
      verifier         = []
      break_glass      = []
      restore_operator = ["rds:AddTagsToResource", "rds:CopyDBSnapshot", "rds:CreateDBSnapshot", "rds:RemoveTagsFromResource", "s3:PutObjectTagging"]
      retention        = ["s3:PutObjectTagging"]
    })
    error_message = "Another role than the restore operator may mark or copy backups."
  }

  assert {
    condition = jsonencode([
      for statement in jsondecode(aws_iam_role_policy.own["restore_operator"].policy).Statement : statement.Resource
      if contains(flatten([statement.Action]), "s3:DeleteObject")
    ]) == jsonencode([["arn:aws:s3:::app-test-dumps-123456789012-*/*/kept.json"]])
    error_message = "The restore operator may delete more of a dump than the mark that it is kept."
  }
}
