# Who a GitLab pipeline is in AWS: no stored keys, one role that plans and one that applies.

locals {
  issuer       = trimprefix(var.gitlab.url, "https://")
  provider_arn = var.oidc_provider_arn == null ? aws_iam_openid_connect_provider.gitlab[0].arn : var.oidc_provider_arn

  _project = "project_path:${var.gitlab.project_path}:ref_type:branch:ref:"

  # Merge requests plan from branches nobody can list beforehand. The project is always spelt out.
  subjects = {
    plan  = var.gitlab.plan_branches == null ? ["${local._project}*"] : [for branch in sort(var.gitlab.plan_branches) : "${local._project}${branch}"]
    apply = ["${local._project}${var.gitlab.branch}"]
  }

  trust_policies = {
    for role, subjects in local.subjects : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Federated = local.provider_arn }
        Action    = ["sts:AssumeRoleWithWebIdentity"]
        Condition = merge(
          { StringEquals = merge({ "${local.issuer}:aud" = [var.gitlab.audience] }, local._by_name[role] ? { "${local.issuer}:sub" = subjects } : {}) },
          local._by_name[role] ? {} : { StringLike = { "${local.issuer}:sub" = subjects } },
        )
      }]
    })
  }

  _by_name = { plan = var.gitlab.plan_branches != null, apply = true }

  _own_role_arns = [for role in ["ci-plan", "ci-apply", "break-glass"] : "arn:aws:iam::${var.account_id}:role/${var.name}-${role}"]

  _own_secret_arns = [
    "arn:aws:secretsmanager:*:${var.account_id}:secret:${var.name}/*",
    "arn:aws:ssm:*:${var.account_id}:parameter/${var.name}/*",
  ]

  own_policies = {
    plan = jsonencode({
      Version = "2012-10-17"
      Statement = [
        # It takes and releases locks, but a plan leaves every state as it was.
        {
          Sid         = "StatesStay"
          Effect      = "Deny"
          Action      = ["s3:DeleteObject", "s3:PutObject"]
          NotResource = ["arn:aws:s3:::*.tflock"]
        },
        {
          Sid       = "DigestsStay"
          Effect    = "Deny"
          Action    = ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
          Resource  = ["*"]
          Condition = { "ForAnyValue:StringLike" = { "dynamodb:LeadingKeys" = ["*-md5"] } }
        },
        # Refreshing the application's own secret reads it; it holds an address and no password.
        {
          Sid      = "ReadSecretsOfTheApplication"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = local._own_secret_arns
        },
        {
          Sid         = "OtherSecretsStaySecret"
          Effect      = "Deny"
          Action      = ["secretsmanager:GetSecretValue", "ssm:GetParameter*"]
          NotResource = local._own_secret_arns
        },
      ]
    })

    apply = jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid    = "HandleRolesOfTheApplication"
          Effect = "Allow"
          Action = [
            "iam:AddRoleToInstanceProfile",
            "iam:AttachRolePolicy",
            "iam:CreateInstanceProfile",
            "iam:CreateRole",
            "iam:DeleteInstanceProfile",
            "iam:DeleteRole",
            "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy",
            "iam:Get*",
            "iam:List*",
            "iam:PassRole",
            "iam:PutRolePolicy",
            "iam:RemoveRoleFromInstanceProfile",
            "iam:TagInstanceProfile",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
          ]
          Resource = [
            "arn:aws:iam::${var.account_id}:instance-profile/${var.name}-*",
            "arn:aws:iam::${var.account_id}:role/${var.name}-*",
          ]
        },
        {
          Sid      = "LookAtTheIdentityProvider"
          Effect   = "Allow"
          Action   = ["iam:GetOpenIDConnectProvider"]
          Resource = ["arn:aws:iam::${var.account_id}:oidc-provider/*"]
        },
        # A pipeline that can change who it is, or who break-glass is, has no limits.
        {
          Sid      = "WhoIsWhoStays"
          Effect   = "Deny"
          Action   = ["iam:AttachRolePolicy", "iam:Delete*", "iam:DetachRolePolicy", "iam:PassRole", "iam:Put*", "iam:Update*", "sts:AssumeRole"]
          Resource = concat(local._own_role_arns, ["arn:aws:iam::${var.account_id}:oidc-provider/*"])
        },
        {
          Sid    = "CopiesStay"
          Effect = "Deny"
          Action = [
            "backup:DeleteRecoveryPoint",
            "backup:UpdateRecoveryPointLifecycle",
            "kms:DisableKey",
            "kms:ScheduleKeyDeletion",
            "rds:DeleteDBInstanceAutomatedBackup",
            "rds:DeleteDBSnapshot",
            "s3:BypassGovernanceRetention",
            "s3:DeleteObjectVersion",
          ]
          Resource = ["*"]
        },
      ]
    })
  }

  apply_policies = { for arn in var.apply_policy_arns : element(split("/", arn), -1) => arn }
}

resource "aws_iam_openid_connect_provider" "gitlab" {
  count = var.oidc_provider_arn == null ? 1 : 0

  url            = var.gitlab.url
  client_id_list = [var.gitlab.audience]
}

resource "aws_iam_role" "ci" {
  for_each = local.trust_policies

  name                 = "${var.name}-ci-${each.key}"
  description          = "GitLab pipelines of ${var.gitlab.project_path} ${each.key} ${var.environment} with it"
  assume_role_policy   = each.value
  max_session_duration = each.key == "apply" ? 14400 : 3600
}

resource "aws_iam_role_policy" "state" {
  for_each = aws_iam_role.ci

  name   = "state"
  role   = each.value.id
  policy = var.state_policy_json
}

resource "aws_iam_role_policy" "own" {
  for_each = local.own_policies

  name   = "own"
  role   = aws_iam_role.ci[each.key].id
  policy = each.value
}

resource "aws_iam_role_policy_attachment" "plan" {
  role       = aws_iam_role.ci["plan"].name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_role_policy_attachment" "apply" {
  for_each = local.apply_policies

  role       = aws_iam_role.ci["apply"].name
  policy_arn = each.value
}
