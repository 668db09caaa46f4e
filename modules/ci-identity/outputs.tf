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
