output "role_arns" {
  description = "ARNs by role: plan, apply. A job sets AWS_ROLE_ARN to one of them."
  value       = { for role, made in aws_iam_role.ci : role => made.arn }

  depends_on = [
    aws_iam_role_policy.own,
    aws_iam_role_policy.state,
    aws_iam_role_policy_attachment.apply,
    aws_iam_role_policy_attachment.plan,
  ]
}

output "deploy_branch" {
  description = "Whose tokens the apply role trusts, for other roles that its pipelines take: the provider's ARN, its issuer, audience and subject."
  value = {
    provider_arn = local.provider_arn
    issuer       = local.issuer
    audience     = var.gitlab.audience
    subject      = one(local.subjects.apply)
  }
}
