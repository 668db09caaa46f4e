output "bucket" {
  description = "Name of the bucket that holds the state; versioned, encrypted and guarded when you get it."
  value       = aws_s3_bucket.state.bucket

  depends_on = [
    aws_s3_bucket_policy.state,
    aws_s3_bucket_public_access_block.state,
    aws_s3_bucket_server_side_encryption_configuration.state,
    aws_s3_bucket_versioning.state,
  ]
}

output "bucket_arn" {
  description = "ARN of the bucket that holds the state."
  value       = aws_s3_bucket.state.arn
}

output "replica_bucket" {
  description = "Name of the bucket in the DR region that every version is copied to; there is no digest for it, so Terraform reads it as it is."
  value       = aws_s3_bucket.replica.bucket

  depends_on = [aws_s3_bucket_policy.replica, aws_s3_bucket_replication_configuration.state]
}

output "lock_table" {
  description = "Name of the lock table, which also holds each state's digest and lifeboat's lease."
  value       = aws_dynamodb_table.lock.name
}

output "kms_key_arn" {
  description = "ARN of the key that encrypts the state and the lock table."
  value       = aws_kms_key.state.arn
}

# Waits for what makes the bucket safe to write, not for lifecycle, the guard after it and replication: they take a minute.
output "backend" {
  description = "Settings for terraform init -backend-config; add the key of the state, one of state_keys."
  value = tomap(merge(
    {
      bucket     = aws_s3_bucket.state.bucket
      region     = var.region
      encrypt    = "true"
      kms_key_id = aws_kms_key.state.arn
    },
    var.lock_mode == "lockfile" ? {} : { dynamodb_table = aws_dynamodb_table.lock.name },
    var.lock_mode == "dynamodb" ? {} : { use_lockfile = "true" },
  ))

  depends_on = [
    aws_s3_bucket_ownership_controls.state,
    aws_s3_bucket_public_access_block.state,
    aws_s3_bucket_server_side_encryption_configuration.state,
    aws_s3_bucket_versioning.state,
  ]
}

output "iam_policy_json" {
  description = "Policy for who plans and applies: these states, their copies and locks, the run journal under runs/, and what is known of them in the DR region under known-states/; nothing else in the buckets."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "FindStates"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource = [local.bucket_arn]
        Condition = {
          StringLike = {
            "s3:prefix" = concat(sort(var.state_keys), [for key in sort(var.state_keys) : "${key}.tflock"], ["env:/*", "runs/*"])
          }
        }
      },
      {
        Sid      = "ReadAndWriteStates"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
        Resource = concat([for key in sort(var.state_keys) : "${local.bucket_arn}/${key}"], ["${local.bucket_arn}/runs/*"])
      },
      {
        Sid      = "TakeAndReleaseLocks"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = [for key in sort(var.state_keys) : "${local.bucket_arn}/${key}.tflock"]
      },
      {
        Sid      = "UseTheLockTable"
        Effect   = "Allow"
        Action   = ["dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = [local.table_arn]
      },
      {
        Sid      = "UseTheKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [aws_kms_key.state.arn]
        Condition = {
          StringEquals = { "kms:ViaService" = ["dynamodb.${var.region}.amazonaws.com", "s3.${var.region}.amazonaws.com"] }
        }
      },
      {
        Sid       = "FindCopiesAndWhatIsKnown"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = [local.replica_arn]
        Condition = { StringLike = { "s3:prefix" = concat(sort(var.state_keys), [local.known_states]) } }
      },
      {
        Sid      = "ReadCopies"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = [for key in sort(var.state_keys) : "${local.replica_arn}/${key}"]
      },
      {
        Sid      = "RememberSoundStates"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = ["${local.replica_arn}/${local.known_states}"]
      },
      {
        Sid       = "UseTheKeyOfTheCopies"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [aws_kms_key.replica.arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.dr_region}.amazonaws.com" } }
      },
    ]
  })
}

output "protection" {
  description = "What protects the Terraform state: how often, how long, and where."
  value = [{
    asset       = "state"
    mechanism   = "S3 version of every write, copied within 15 minutes"
    every_hours = 0.25
    kept_days   = var.retention.superseded_days
    regions     = [var.region, var.dr_region]
  }]

  depends_on = [
    aws_s3_bucket_lifecycle_configuration.replica,
    aws_s3_bucket_lifecycle_configuration.state,
    aws_s3_bucket_replication_configuration.state,
  ]
}
