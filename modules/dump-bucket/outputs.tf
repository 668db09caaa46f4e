# What holds the writer's and reader's rights must not wait for the bucket policy, whose guard names their roles.

output "bucket" {
  description = "Name of the bucket; versioned, locked and guarded when you get it."
  value       = aws_s3_bucket.dumps.bucket

  depends_on = [
    aws_s3_bucket_ownership_controls.dumps,
    aws_s3_bucket_policy.dumps,
    aws_s3_bucket_server_side_encryption_configuration.dumps,
  ]
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.dumps.arn
}

output "replica_bucket" {
  description = "Name of the bucket in the DR region that every dump is copied to, lock included."
  value       = aws_s3_bucket.replica.bucket

  depends_on = [aws_s3_bucket_policy.replica, aws_s3_bucket_replication_configuration.dumps]
}

output "prefix" {
  description = "Where in the bucket dumps lie."
  value       = var.prefix
}

output "kms_key_arn" {
  description = "ARN of the key that encrypts the dumps; the replica has one of its own."
  value       = aws_kms_key.dumps.arn
}

output "writer_policy_json" {
  description = "Policy for the dump job: it can add dumps under the prefix, and read what earlier ones were (their manifests). It cannot read data, delete, change a lock, or say of a dump that it is proven or kept."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "AddDumps"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:PutObject"]
        Resource = ["${local.bucket_arn}/${var.prefix}*.zst", "${local.bucket_arn}/${var.prefix}*/manifest.json"]
      },
      # A dump is compared with those before it: names and manifests, and none of their data.
      {
        Sid       = "FindEarlierDumps"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = [local.bucket_arn]
        Condition = { StringLike = { "s3:prefix" = ["${var.prefix}*"] } }
      },
      # To abort what a dump that was cut off left; S3 knows no prefix here.
      {
        Sid      = "FindUploadsThatWereCutOff"
        Effect   = "Allow"
        Action   = ["s3:ListBucketMultipartUploads"]
        Resource = [local.bucket_arn]
      },
      {
        Sid      = "ReadManifests"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = ["${local.bucket_arn}/${var.prefix}*/manifest.json"]
      },
      # S3 decrypts the parts of a multipart upload to join them, and manifests; of the data this reads nothing back.
      {
        Sid       = "EncryptDumps"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [aws_kms_key.dumps.arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
      },
    ]
  })
}

output "reader_policy_json" {
  description = "Policy for who verifies and restores: it can find and read dumps in both regions, and change nothing."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "FindDumps"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = [local.bucket_arn, local.replica_arn]
        Condition = { StringLike = { "s3:prefix" = ["${var.prefix}*"] } }
      },
      {
        Sid    = "ReadDumps"
        Effect = "Allow"
        Action = [
          "s3:GetObject",
          "s3:GetObjectAttributes",
          "s3:GetObjectLegalHold",
          "s3:GetObjectRetention",
          "s3:GetObjectTagging",
          "s3:GetObjectVersion",
          "s3:GetObjectVersionAttributes",
        ]
        Resource = ["${local.bucket_arn}/${var.prefix}*", "${local.replica_arn}/${var.prefix}*"]
      },
      {
        Sid    = "ReadProtection"
        Effect = "Allow"
        Action = [
          "s3:GetBucketObjectLockConfiguration",
          "s3:GetBucketVersioning",
          "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:GetReplicationConfiguration",
        ]
        Resource = [local.bucket_arn, local.replica_arn]
      },
      {
        Sid      = "DecryptDumps"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [aws_kms_key.dumps.arn, aws_kms_key.replica.arn]
        Condition = {
          StringEquals = { "kms:ViaService" = ["s3.${var.region}.amazonaws.com", "s3.${var.dr_region}.amazonaws.com"] }
        }
      },
    ]
  })
}

output "prover_policy_json" {
  description = "Policy for who verifies dumps, beside the reader's: it can put proofs beside them and beside their copies, and nothing else."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "AddProofs"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["${local.bucket_arn}/${var.prefix}*/proofs/*.json", "${local.replica_arn}/${var.prefix}*/proofs/*.json"]
      },
      {
        Sid      = "EncryptProofs"
        Effect   = "Allow"
        Action   = ["kms:GenerateDataKey"]
        Resource = [aws_kms_key.dumps.arn, aws_kms_key.replica.arn]
        Condition = {
          StringEquals = { "kms:ViaService" = ["s3.${var.region}.amazonaws.com", "s3.${var.dr_region}.amazonaws.com"] }
        }
      },
    ]
  })
}

output "protection" {
  description = "What protects the dumps: how often one is made, how long it is kept, and where."
  value = [{
    asset       = "dumps"
    mechanism   = "versioned S3 objects, locked ${var.object_lock.days} days (${lower(var.object_lock.mode)}), copied"
    every_hours = var.every_hours
    kept_days   = var.retention.current_days
    regions     = [var.region, var.dr_region]
  }]

  depends_on = [aws_s3_bucket_policy.dumps, aws_s3_bucket_policy.replica, aws_s3_bucket_replication_configuration.dumps]
}
