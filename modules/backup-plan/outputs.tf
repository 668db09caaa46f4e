output "vaults" {
  description = "Names of the vaults: primary in region, dr in dr_region."
  value = {
    primary = aws_backup_vault.primary.name
    dr      = aws_backup_vault.dr.name
  }

  depends_on = [
    aws_backup_vault_lock_configuration.primary, aws_backup_vault_lock_configuration.dr,
    aws_backup_vault_policy.primary, aws_backup_vault_policy.dr,
  ]
}

output "vault_arns" {
  description = "ARNs of the vaults: primary in region, dr in dr_region."
  value = {
    primary = aws_backup_vault.primary.arn
    dr      = aws_backup_vault.dr.arn
  }
}

output "kms_key_arns" {
  description = "Keys of the vaults: primary in region, dr in dr_region."
  value = {
    primary = aws_kms_key.primary.arn
    dr      = aws_kms_key.dr.arn
  }
}

output "plan_ids" {
  description = "Ids of the backup plans."
  value       = [aws_backup_plan.this.id]

  depends_on = [aws_backup_selection.arns, aws_backup_selection.tags]
}

output "restore_testing_plan" {
  description = "Name of the restore-testing plan."
  value       = aws_backup_restore_testing_plan.this.name

  depends_on = [aws_backup_restore_testing_selection.this]
}

output "role_arn" {
  description = "Role that AWS Backup backs up and restores with."
  value       = aws_iam_role.this.arn

  depends_on = [aws_iam_role_policy_attachment.this]
}

output "protection" {
  description = "What the plan protects, for the protection table."
  value       = local.protection

  depends_on = [aws_backup_selection.arns, aws_backup_selection.tags]
}
