locals {
  _instances = {
    for generation, instance in aws_db_instance.this : generation => {
      identifier          = instance.identifier
      arn                 = instance.arn
      address             = instance.address
      port                = instance.port
      name                = instance.db_name
      username            = instance.username
      password_secret_arn = one(instance.master_user_secret[*].secret_arn)
    }
  }

  _major = split(".", var.instance.engine_version)[0]

  # A backup is worth as much as its key: only the break-glass role may schedule a key's deletion or switch it off.
  _key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "AccountAdministers"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      }],
      var.teardown ? [] : [{
        Sid       = "OnlyBreakGlassMayLoseTheKey"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = ["kms:ScheduleKeyDeletion", "kms:DisableKey"]
        Resource  = "*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = "arn:aws:iam::${var.account_id}:role/${var.name}-break-glass" } }
      }],
    )
  })
}

resource "aws_kms_key" "this" {
  description             = "${var.name}: database storage, its backups and its password"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local._key_policy
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-database"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_kms_key" "dr" {
  provider = aws.dr

  description             = "${var.name}: copy of the database's backups"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = local._key_policy
}

resource "aws_kms_alias" "dr" {
  provider = aws.dr

  name          = "alias/${var.name}-database"
  target_key_id = aws_kms_key.dr.key_id
}

resource "aws_db_subnet_group" "this" {
  name        = "${var.name}-database"
  description = "Private subnets of ${var.name}"
  subnet_ids  = var.network.subnet_ids
}

resource "aws_security_group" "this" {
  name        = "${var.name}-database"
  description = "PostgreSQL of ${var.name}, for the named clients only"
  vpc_id      = var.network.vpc_id

  tags = { Name = "${var.name}-database" }
}

resource "aws_vpc_security_group_ingress_rule" "client" {
  for_each = var.network.client_security_group_ids

  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = var.instance.port
  to_port                      = var.instance.port

  tags = { Name = "${var.name}-database-from-${each.key}" }
}

# Both parameters answer questions of a recovery: when was the table dropped, and when was the last commit?
# TLS only (rds.force_ssl) is RDS's own default from PostgreSQL 15 on.
resource "aws_db_parameter_group" "this" {
  name        = "${var.name}-postgres${local._major}"
  family      = "postgres${local._major}"
  description = "${var.name}: what a recovery wants to know afterwards"

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  parameter {
    name         = "track_commit_timestamp"
    value        = "1"
    apply_method = "pending-reboot"
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Generations live side by side: a recovery restores the next one through the RDS API (minutes; Terraform's own restore
# waits for a second backup and a modify) and this resource adopts it. Arguments that say how an instance came to be
# are therefore ignored; all others must match, or the next plan would change what was just restored. Without
# apply_immediately an adoption modifies nothing (80 s less), and a new class waits for the maintenance window.
resource "aws_db_instance" "this" {
  # checkov:skip=CKV_AWS_118:Enhanced monitoring is no part of recovery.
  # checkov:skip=CKV_AWS_161:The application signs in with the managed password.
  # checkov:skip=CKV_AWS_353:Performance Insights is no part of recovery.
  for_each = var.generations

  identifier     = "${var.name}-${each.key}"
  engine         = "postgres"
  engine_version = var.instance.engine_version
  instance_class = var.instance.class
  multi_az       = var.instance.multi_az

  db_name                       = var.instance.db_name
  username                      = var.instance.username
  manage_master_user_password   = true
  master_user_secret_kms_key_id = aws_kms_key.this.arn
  port                          = var.instance.port

  allocated_storage     = var.instance.allocated_gb
  max_allocated_storage = var.instance.max_allocated_gb
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.this.arn

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  parameter_group_name   = aws_db_parameter_group.this.name
  publicly_accessible    = false

  backup_retention_period  = var.backup.retention_days
  backup_window            = var.backup.backup_window
  maintenance_window       = var.backup.maintenance_window
  copy_tags_to_snapshot    = true
  delete_automated_backups = false

  deletion_protection       = !(var.teardown || each.value.retiring)
  skip_final_snapshot       = var.teardown
  final_snapshot_identifier = "${var.name}-${each.key}-final"

  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]

  lifecycle {
    ignore_changes = [
      snapshot_identifier,
      restore_to_point_in_time,
      replicate_source_db,
      # Read back differently after an adoption; setting them again would be a modify (80 s) of what already holds.
      manage_master_user_password,
      master_user_secret_kms_key_id,
      # AWS upgrades the minor version by itself, and a restored instance names it in full: "15" would be a downgrade.
      engine_version,
    ]

    # Here and not in the variable: a validation may not use locals that are computed from its own variable.
    precondition {
      condition     = local.backup_minutes >= 30
      error_message = "backup.backup_window (${var.backup.backup_window}) is shorter than 30 minutes, which RDS refuses: make it longer."
    }

    precondition {
      condition     = local.maintenance_minutes >= 30 && local.maintenance_minutes <= 1440
      error_message = "backup.maintenance_window (${var.backup.maintenance_window}) must be at least 30 minutes and at most 24 hours long."
    }

    precondition {
      condition     = local.clear_minutes >= var.backup.gap_minutes
      error_message = "backup.backup_window (${var.backup.backup_window}, every day) and backup.maintenance_window (${var.backup.maintenance_window}) overlap or are less than backup.gap_minutes (${var.backup.gap_minutes}) apart: move one of them."
    }
  }
}

# An older generation keeps its copy for as long as it stands: what it holds may be all that is left of a day.
resource "aws_db_instance_automated_backups_replication" "dr" {
  for_each = { for generation, instance in aws_db_instance.this : generation => instance.arn if var.generations[generation].dr_copy && !var.generations[generation].retiring }
  provider = aws.dr

  source_db_instance_arn = each.value
  kms_key_id             = aws_kms_key.dr.arn
  retention_period       = var.backup.dr_retention_days
}
