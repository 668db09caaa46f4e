output "policy_ids" {
  description = "Ids of the lifecycle policies: snapshots and images."
  value = {
    snapshots = aws_dlm_lifecycle_policy.snapshots.id
    images    = aws_dlm_lifecycle_policy.images.id
  }

  depends_on = [aws_iam_role_policy.keys, aws_iam_role_policy_attachment.dlm]
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

  depends_on = [aws_dlm_lifecycle_policy.snapshots, aws_dlm_lifecycle_policy.images]
}
