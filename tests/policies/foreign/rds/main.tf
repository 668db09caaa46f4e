# In the shape of the examples of terraform-aws-modules/rds: a PostgreSQL with all that its inputs make, and its backups
# replicated by the submodule for that. Written anew as resources, by the documented inputs and their defaults.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region = local.region

  default_tags {
    tags = local.tags
  }
}

provider "aws" {
  alias  = "replica"
  region = "eu-central-1"
}

locals {
  name   = "complete-postgresql"
  region = "eu-west-1"
  tags = {
    Example    = local.name
    Repository = "https://github.com/terraform-aws-modules/terraform-aws-rds"
  }
}

variable "subnet_ids" {
  description = "Subnets of the database, which another state makes."
  type        = list(string)
  default     = ["subnet-0aa11bb22cc33dd44", "subnet-0bb11cc22dd33ee44"]
}

resource "aws_security_group" "db" {
  name        = "${local.name}-db"
  description = "PostgreSQL from within the network"
  vpc_id      = "vpc-0aa11bb22cc33dd44"
}

resource "aws_db_subnet_group" "this" {
  name_prefix = "${local.name}-"
  subnet_ids  = var.subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${local.name}-"
  family      = "postgres16"

  dynamic "parameter" {
    for_each = { autovacuum = "1", client_encoding = "utf8" }

    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

data "aws_iam_policy_document" "monitoring" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "monitoring" {
  name               = "${local.name}-monitoring"
  assume_role_policy = data.aws_iam_policy_document.monitoring.json
}

resource "aws_db_instance" "this" {
  identifier     = local.name
  engine         = "postgres"
  engine_version = "16.4"
  instance_class = "db.t4g.large"

  allocated_storage     = 20
  max_allocated_storage = 100
  storage_encrypted     = true

  db_name                     = "completePostgresql"
  username                    = "complete_postgresql"
  port                        = 5432
  manage_master_user_password = true

  multi_az               = true
  db_subnet_group_name   = aws_db_subnet_group.this.name
  parameter_group_name   = aws_db_parameter_group.this.name
  vpc_security_group_ids = [aws_security_group.db.id]

  maintenance_window              = "Mon:00:00-Mon:03:00"
  backup_window                   = "03:00-06:00"
  backup_retention_period         = 1
  copy_tags_to_snapshot           = true
  skip_final_snapshot             = true
  deletion_protection             = false
  delete_automated_backups        = true
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]

  monitoring_interval = 60
  monitoring_role_arn = aws_iam_role.monitoring.arn
}

# What the module makes of its defaults alone.
resource "aws_db_instance" "default" {
  identifier     = "${local.name}-default"
  engine         = "postgres"
  engine_version = "16.4"
  instance_class = "db.t4g.large"

  allocated_storage           = 20
  storage_encrypted           = true
  username                    = "complete_postgresql"
  manage_master_user_password = true
  db_subnet_group_name        = aws_db_subnet_group.this.name
  vpc_security_group_ids      = [aws_security_group.db.id]
  copy_tags_to_snapshot       = true
  skip_final_snapshot         = false
  final_snapshot_identifier   = "final-${local.name}-default"
}

# A replica of it, as the example of that name has one; it holds no data of its own.
resource "aws_db_instance" "replica" {
  identifier          = "${local.name}-replica"
  replicate_source_db = aws_db_instance.this.identifier
  instance_class      = "db.t4g.large"
  storage_encrypted   = true

  maintenance_window      = "Tue:00:00-Tue:03:00"
  backup_window           = "03:00-06:00"
  backup_retention_period = 0
  skip_final_snapshot     = true
}

resource "aws_kms_key" "replica" {
  provider    = aws.replica
  description = "Encrypts what is replicated"
}

resource "aws_db_instance_automated_backups_replication" "this" {
  provider = aws.replica

  source_db_instance_arn = aws_db_instance.this.arn
  kms_key_id             = aws_kms_key.replica.arn
  retention_period       = 7
}
