output "policy_ids" {
  description = "Ids of the lifecycle policies: snapshots and images."
  value       = { for what, policy in aws_dlm_lifecycle_policy.this : what => policy.id }
}

output "role_arn" {
  description = "Role that DLM works with."
  value       = aws_iam_role.dlm.arn
}

output "dr_kms_key_arn" {
  description = "Key of the copies in dr_region."
  value       = aws_kms_key.copies.arn
}

output "target_tags" {
  description = "Tags that choose what is copied; the copies carry them too, so they are found by them."
  value       = var.target_tags
}

output "protection" {
  description = "What protects volumes and images, for the protection table."
  value       = local.protection

  depends_on = [aws_dlm_lifecycle_policy.this]
}
