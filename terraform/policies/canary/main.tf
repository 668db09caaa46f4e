# What must be found wrong here in every scan: a scan that finds nothing wrong with this looked at nothing.
resource "aws_db_instance" "canary" {
  identifier              = "canary"
  backup_retention_period = 1
  skip_final_snapshot     = true
  multi_az                = false
  storage_encrypted       = false
}
