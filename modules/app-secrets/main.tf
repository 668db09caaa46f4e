# Where the application finds its database. The secret says which other secret holds the password, and never the password.

locals {
  recovery_window_days = var.teardown ? 0 : 30

  # The password's secret belongs to RDS, which changes the password; a copy of it here would be out of date one day.
  _database = {
    host                = var.database.host
    port                = var.database.port
    dbname              = var.database.dbname
    username            = var.database.username
    password_secret_arn = var.database.password_secret_arn
  }
}

resource "aws_secretsmanager_secret" "database" {
  # checkov:skip=CKV2_AWS_57:Nothing in it to rotate; RDS rotates the password, which is in a secret of its own.
  # checkov:skip=CKV_AWS_149:The root gives customer keys by kms_key_arns; without them the secret has the region's own key.
  name                    = "${var.name}/database"
  description             = "Where the database of ${var.name} is, and which secret holds its password"
  kms_key_id              = one(var.kms_key_arns[*].primary)
  recovery_window_in_days = local.recovery_window_days

  # A copy that a recovery has promoted serves the application in the DR region: only a throw-away environment may overwrite one.
  force_overwrite_replica_secret = var.teardown

  replica {
    region     = var.dr_region
    kms_key_id = one(var.kms_key_arns[*].dr)
  }
}

resource "aws_secretsmanager_secret_version" "database" {
  secret_id     = aws_secretsmanager_secret.database.id
  secret_string = jsonencode(local._database)
}
