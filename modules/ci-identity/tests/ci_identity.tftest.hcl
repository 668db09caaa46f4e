mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.com" }
  }
}

variables {
  name              = "app-test"
  environment       = "test"
  account_id        = "123456789012"
  gitlab            = { url = "https://gitlab.com", project_path = "group/project" }
  state_policy_json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
}

run "apply_is_for_one_branch_of_one_project" {
  command = plan

  assert {
    condition     = jsondecode(aws_iam_role.ci["apply"].assume_role_policy).Statement[0].Condition == { StringEquals = { "gitlab.com:aud" = ["https://sts.amazonaws.com"], "gitlab.com:sub" = ["project_path:group/project:ref_type:branch:ref:main"] } }
    error_message = "Other pipelines can take the apply role: ${jsonencode(jsondecode(aws_iam_role.ci["apply"].assume_role_policy).Statement[0].Condition)}"
  }
}

run "plan_is_for_every_branch_of_one_project" {
  command = plan

  assert {
    condition     = jsondecode(aws_iam_role.ci["plan"].assume_role_policy).Statement[0].Condition == { StringEquals = { "gitlab.com:aud" = ["https://sts.amazonaws.com"] }, StringLike = { "gitlab.com:sub" = ["project_path:group/project:ref_type:branch:ref:*"] } }
    error_message = "Other pipelines can take the plan role: ${jsonencode(jsondecode(aws_iam_role.ci["plan"].assume_role_policy).Statement[0].Condition)}"
  }
}

run "plan_can_be_for_named_branches_alone" {
  command = plan

  variables {
    gitlab = { url = "https://gitlab.com", project_path = "group/project", plan_branches = ["main", "next"] }
  }

  assert {
    condition     = jsondecode(aws_iam_role.ci["plan"].assume_role_policy).Statement[0].Condition.StringEquals["gitlab.com:sub"] == ["project_path:group/project:ref_type:branch:ref:main", "project_path:group/project:ref_type:branch:ref:next"]
    error_message = "Other branches can plan: ${jsonencode(jsondecode(aws_iam_role.ci["plan"].assume_role_policy).Statement[0].Condition)}"
  }

  assert {
    condition     = !strcontains(aws_iam_role.ci["plan"].assume_role_policy, "*")
    error_message = "There is still a wildcard."
  }
}

run "a_self_managed_gitlab_with_a_port_and_a_path_is_trusted_by_its_whole_address" {
  command = plan

  variables {
    gitlab = { url = "https://git.example.org:8443/gitlab", project_path = "group/project" }
  }

  assert {
    condition     = jsondecode(aws_iam_role.ci["apply"].assume_role_policy).Statement[0].Condition.StringEquals["git.example.org:8443/gitlab:aud"] == ["https://sts.amazonaws.com"]
    error_message = "The issuer is not the whole address."
  }
}

run "an_identity_provider_that_exists_is_used" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.com"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.gitlab) == 0
    error_message = "A second provider for the same address would be refused by AWS."
  }
}

run "a_missing_identity_provider_is_made" {
  command = plan

  assert {
    condition     = aws_iam_openid_connect_provider.gitlab[0].url == "https://gitlab.com" && aws_iam_openid_connect_provider.gitlab[0].client_id_list == toset(["https://sts.amazonaws.com"])
    error_message = "The provider trusts another address or audience."
  }
}

run "plan_leaves_states_and_secrets_alone" {
  command = plan

  assert {
    condition     = jsondecode(aws_iam_role_policy.own["plan"].policy).Statement[0].Effect == "Deny" && jsondecode(aws_iam_role_policy.own["plan"].policy).Statement[0].NotResource == ["arn:aws:s3:::*.tflock"] && contains(jsondecode(aws_iam_role_policy.own["plan"].policy).Statement[0].Action, "s3:PutObject")
    error_message = "A plan may write more than lock files."
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.own["plan"].policy).Statement : statement.NotResource if statement.Effect == "Deny" && contains(statement.Action, "secretsmanager:GetSecretValue")]) == ["arn:aws:secretsmanager:*:123456789012:secret:app-test/*", "arn:aws:ssm:*:123456789012:parameter/app-test/*"]
    error_message = "Any branch may read secrets that are not the application's own address."
  }

  assert {
    condition     = aws_iam_role_policy_attachment.plan.policy_arn == "arn:aws:iam::aws:policy/ReadOnlyAccess"
    error_message = "The plan role may do more than read."
  }
}

run "apply_cannot_become_break_glass_or_destroy_copies" {
  command = plan

  assert {
    condition     = anytrue([for statement in jsondecode(aws_iam_role_policy.own["apply"].policy).Statement : statement.Effect == "Deny" && contains(statement.Action, "iam:PassRole") && contains(statement.Resource, "arn:aws:iam::123456789012:role/app-test-break-glass") && contains(statement.Resource, "arn:aws:iam::123456789012:role/app-test-ci-apply")])
    error_message = "The pipeline can change who it is."
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_iam_role_policy.own["apply"].policy).Statement : statement.Effect == "Deny" && length(setsubtract(["s3:DeleteObjectVersion", "kms:ScheduleKeyDeletion", "backup:DeleteRecoveryPoint"], statement.Action)) == 0])
    error_message = "The pipeline can destroy copies."
  }

  assert {
    condition     = alltrue(flatten([for statement in jsondecode(aws_iam_role_policy.own["apply"].policy).Statement : [for resource in flatten([statement.Resource]) : strcontains(resource, "/app-test-") || strcontains(resource, ":oidc-provider/")] if statement.Effect == "Allow"]))
    error_message = "The pipeline can handle roles of other applications."
  }
}

run "both_roles_use_the_state" {
  command = plan

  assert {
    condition     = sort(keys(aws_iam_role_policy.state)) == tolist(["apply", "plan"]) && sort(keys(output.role_arns)) == tolist(["apply", "plan"])
    error_message = "A role cannot use the state."
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
    name = "an-application-with-quite-a-long-name-for-production-in-europe"
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

run "an_address_without_tls_is_refused" {
  command = plan

  variables {
    gitlab = { url = "http://gitlab.com", project_path = "group/project" }
  }

  expect_failures = [var.gitlab]
}

run "a_wildcard_in_the_address_is_refused" {
  command = plan

  variables {
    gitlab = { url = "https://*.example.org", project_path = "group/project" }
  }

  expect_failures = [var.gitlab]
}

run "a_wildcard_in_the_project_is_refused" {
  command = plan

  variables {
    gitlab = { url = "https://gitlab.com", project_path = "group/*" }
  }

  expect_failures = [var.gitlab]
}

run "a_group_without_a_project_is_refused" {
  command = plan

  variables {
    gitlab = { url = "https://gitlab.com", project_path = "group" }
  }

  expect_failures = [var.gitlab]
}

run "a_wildcard_in_the_branch_is_refused" {
  command = plan

  variables {
    gitlab = { url = "https://gitlab.com", project_path = "group/project", branch = "*" }
  }

  expect_failures = [var.gitlab]
}

run "a_question_mark_in_the_branch_is_refused" {
  command = plan

  variables {
    gitlab = { url = "https://gitlab.com", project_path = "group/project", branch = "mai?" }
  }

  expect_failures = [var.gitlab]
}

run "a_wildcard_in_plan_branches_is_refused" {
  command = plan

  variables {
    gitlab = { url = "https://gitlab.com", project_path = "group/project", plan_branches = ["main", "feature/*"] }
  }

  expect_failures = [var.gitlab]
}

run "an_empty_list_of_plan_branches_is_refused" {
  command = plan

  variables {
    gitlab = { url = "https://gitlab.com", project_path = "group/project", plan_branches = [] }
  }

  expect_failures = [var.gitlab]
}

run "a_wildcard_in_the_audience_is_refused" {
  command = plan

  variables {
    gitlab = { url = "https://gitlab.com", project_path = "group/project", audience = "*" }
  }

  expect_failures = [var.gitlab]
}

run "the_provider_of_another_gitlab_is_refused" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.example.org"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "the_provider_of_another_account_is_refused" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::210987654321:oidc-provider/gitlab.com"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "a_state_policy_that_is_no_json_is_refused" {
  command = plan

  variables {
    state_policy_json = "s3:*"
  }

  expect_failures = [var.state_policy_json]
}

run "a_wildcard_policy_is_refused" {
  command = plan

  variables {
    apply_policy_arns = ["arn:aws:iam::aws:policy/*"]
  }

  expect_failures = [var.apply_policy_arns]
}

run "an_administrator_pipeline_is_refused" {
  command = plan

  variables {
    apply_policy_arns = ["arn:aws:iam::aws:policy/AdministratorAccess"]
  }

  expect_failures = [var.apply_policy_arns]
}
