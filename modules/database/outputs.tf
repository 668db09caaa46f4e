output "active" {
  description = "The serving instance: where it is, who connects, and the secret that holds the password (never the password)."
  value       = merge({ for key, value in local._instances[var.active_generation] : key => value if key != "arn" })

  depends_on = [aws_vpc_security_group_ingress_rule.client]
}

output "generations" {
  description = "Every instance by generation: identifier, address, port, db name, username, password_secret_arn, arn."
  value       = local._instances
}

output "identifiers" {
  description = "Identifiers of all generations' instances, by generation; what an alarm watches."
  value       = { for generation, instance in aws_db_instance.this : generation => instance.identifier }
}

output "instance_arns" {
  description = "ARNs of all generations' instances, by generation; what a backup plan selects."
  value       = { for generation, instance in aws_db_instance.this : generation => instance.arn }
}

output "subnet_group_name" {
  description = "Subnet group that a restored instance must be put in to be reached by the application."
  value       = aws_db_subnet_group.this.name
}

output "security_group_id" {
  description = "Security group of the instances; what is to reach them names it in its own way out."
  value       = aws_security_group.this.id
}

output "retention_days" {
  description = "Days back to which the database can be restored to any second."
  value       = var.backup.retention_days
}

output "backup_window" {
  description = "Daily backup window, UTC."
  value       = var.backup.backup_window
}

output "maintenance_window" {
  description = "Weekly maintenance window, UTC."
  value       = var.backup.maintenance_window
}

output "kms_key_arn" {
  description = "Key of the storage, its backups and the password's secret."
  value       = aws_kms_key.this.arn
}

output "dr_kms_key_arn" {
  description = "Key of the backups' copy in dr_region."
  value       = aws_kms_key.dr.arn
}

output "protection" {
  description = "What protects the database, for the protection table."
  value = [{
    asset       = "database"
    mechanism   = "RDS automated backups, restorable to any second"
    every_hours = 0.0833 # RDS uploads the log every 5 minutes
    kept_days   = var.backup.retention_days
    regions     = [var.region]
    }, {
    asset       = "database"
    mechanism   = "RDS automated backups copied to the DR region"
    every_hours = 0.0833
    kept_days   = var.backup.dr_retention_days
    regions     = [var.dr_region]
  }]

  depends_on = [aws_db_instance_automated_backups_replication.dr]
}
