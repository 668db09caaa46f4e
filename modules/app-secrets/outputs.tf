output "name" {
  description = "Name of the secret, the same in both regions."
  value       = aws_secretsmanager_secret.database.name

  depends_on = [aws_secretsmanager_secret_version.database]
}

output "arn" {
  description = "ARN of the secret in the primary region."
  value       = aws_secretsmanager_secret.database.arn

  depends_on = [aws_secretsmanager_secret_version.database]
}

output "protection" {
  description = "What protects the secret, for the protection table."
  value = [{
    asset       = "secrets"
    mechanism   = "Secrets Manager copy, written with every change"
    every_hours = 0.0833
    kept_days   = local.recovery_window_days
    regions     = [var.region, var.dr_region]
  }]
}
