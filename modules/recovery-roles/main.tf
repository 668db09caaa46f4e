# Who does what in a recovery. Writing, proving, marking, restoring and overriding are five roles, so that none can do another's
# harm.

locals {
  _roles = {
    writer           = "Adds dumps"
    verifier         = "Looks at every copy and proves it"
    retention        = "Marks dumps that may go, and deletes none"
    restore_operator = "Restores, and destroys no backup"
    break_glass      = "Passes the guards; for emergencies, with MFA"
  }

  role_names = { for role in keys(local._roles) : role => "${var.name}-${replace(role, "_", "-")}" }
  _role_arns = { for role, name in local.role_names : role => "arn:aws:iam::${var.account_id}:role/${name}" }
  _account   = "arn:aws:iam::${var.account_id}:root"

  _trusted_arns = {
    writer           = var.trusted.writer
    verifier         = var.trusted.verifier
    retention        = var.trusted.retention
    restore_operator = var.trusted.restore_operator
    break_glass      = var.trusted.break_glass
  }

  _trusted_services = {
    writer           = sort(var.trusted.writer_services)
    verifier         = sort(var.trusted.verifier_services)
    retention        = sort(var.trusted.retention_services)
    restore_operator = sort(setunion(["backup.amazonaws.com"], var.trusted.restore_operator_services))
    break_glass      = []
  }

  trust_policies = {
    for role in keys(local._roles) : role => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [{
          Sid       = "People"
          Effect    = "Allow"
          Principal = { AWS = length(local._trusted_arns[role]) == 0 ? [local._account] : sort(local._trusted_arns[role]) }
          Action    = ["sts:AssumeRole"]
          Condition = { for test, value in { Bool = { "aws:MultiFactorAuthPresent" = "true" } } : test => value if role == "break_glass" }
        }],
        # EC2 does not say for whom it asks, hence IfExists.
        length(local._trusted_services[role]) == 0 ? [] : [{
          Sid       = "Services"
          Effect    = "Allow"
          Principal = { Service = local._trusted_services[role] }
          Action    = ["sts:AssumeRole"]
          Condition = { StringEqualsIfExists = { "aws:SourceAccount" = var.account_id } }
        }],
        # The pipeline that drills: with the role that may deploy it could change anything.
        [for pipeline in role == "restore_operator" ? var.trusted.pipeline[*] : [] : {
          Sid       = "Pipeline"
          Effect    = "Allow"
          Principal = { Federated = pipeline.provider_arn }
          Action    = ["sts:AssumeRoleWithWebIdentity"]
          Condition = { StringEquals = { "${pipeline.issuer}:aud" = [pipeline.audience], "${pipeline.issuer}:sub" = [pipeline.subject] } }
        }],
      )
    })
  }

  # Given by the caller: which role gets which of var.policies.
  _uses = {
    writer       = ["writer"]
    reader       = ["verifier", "retention", "restore_operator"]
    prover       = ["verifier"]
    state        = ["restore_operator"]
    state_reader = ["verifier", "retention"]
    alarms       = ["verifier"]
  }

  given_policies = merge([
    for use in keys(var.policies) : {
      for role in local._uses[use] : "${role}/${use}" => { role = role, use = use }
    }
  ]...)
}

resource "aws_iam_role" "this" {
  for_each = local._roles

  name                 = local.role_names[each.key]
  description          = "${each.value} (${var.name}, ${var.environment})"
  assume_role_policy   = local.trust_policies[each.key]
  max_session_duration = each.key == "restore_operator" ? 43200 : 3600
}

resource "aws_iam_role_policy" "given" {
  for_each = local.given_policies

  name = each.value.use
  # The name, which a plan knows before the role is there, and so which role it is: that tells where to look for it.
  role   = aws_iam_role.this[each.value.role].name
  policy = var.policies[each.value.use]
}

resource "aws_iam_role_policy" "own" {
  for_each = local.own_policies

  name   = "own"
  role   = aws_iam_role.this[each.key].id
  policy = each.value
}

# With the policy for backups alone a restore fails for want of rights, and that is found out on the worst day.
resource "aws_iam_role_policy_attachment" "restores" {
  for_each = {
    resources = "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForRestores"
    buckets   = "arn:aws:iam::aws:policy/AWSBackupServiceRolePolicyForS3Restore"
  }

  role       = aws_iam_role.this["restore_operator"].name
  policy_arn = each.value
}
