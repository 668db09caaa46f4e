# The copy in the DR region: another bucket, another key, and the role S3 copies with.

resource "aws_kms_key" "replica" {
  provider = aws.dr

  description             = "Replica of the database dumps of ${var.name} (${var.environment})"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  policy                  = local.key_policies.replica

  bypass_policy_lockout_safety_check = !var.teardown
}

resource "aws_kms_alias" "replica" {
  provider = aws.dr

  name          = "alias/${var.name}-dumps"
  target_key_id = aws_kms_key.replica.key_id
}

resource "aws_s3_bucket" "replica" {
  # checkov:skip=CKV_AWS_18:Access logs would need a second unprotected bucket; CloudTrail data events record who read a dump.
  # checkov:skip=CKV_AWS_144:This is the cross-region copy.
  # checkov:skip=CKV2_AWS_62:Replication has metrics and an alarm of its own.
  provider = aws.dr

  bucket              = local.replica_bucket
  force_destroy       = var.teardown
  object_lock_enabled = true

  lifecycle {
    postcondition {
      condition     = self.region == var.dr_region
      error_message = "Provider aws.dr works in ${self.region}, but dr_region is ${var.dr_region}: make both the same."
    }
  }
}

resource "aws_s3_bucket_versioning" "replica" {
  provider = aws.dr
  bucket   = aws_s3_bucket.replica.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "replica" {
  provider = aws.dr

  bucket                  = aws_s3_bucket.replica.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "replica" {
  provider = aws.dr
  bucket   = aws_s3_bucket.replica.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "replica" {
  provider = aws.dr
  bucket   = aws_s3_bucket.replica.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.replica.arn
    }
  }
}

# A copy keeps the lock of its original; this one is for what is put here while the other region is gone.
resource "aws_s3_bucket_object_lock_configuration" "replica" {
  provider = aws.dr
  bucket   = aws_s3_bucket.replica.id

  rule {
    default_retention {
      mode = var.object_lock.mode
      days = var.object_lock.days
    }
  }

  depends_on = [aws_s3_bucket_versioning.replica]
}

resource "aws_s3_bucket_lifecycle_configuration" "replica" {
  provider = aws.dr
  bucket   = aws_s3_bucket.replica.id

  # Deletions are not copied, so the replica expires dumps by itself; lifeboat tags its copies too.
  dynamic "rule" {
    for_each = local.expiry_days

    content {
      id     = "dumps-${rule.key}"
      status = "Enabled"

      filter {
        and {
          prefix = var.prefix
          tags   = { "lifeboat:keep-as" = rule.key }
        }
      }

      expiration {
        days = rule.value
      }
    }
  }

  rule {
    id     = "superseded-versions"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.retention.superseded_days
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.retention.abort_multipart_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.replica]
}

resource "aws_s3_bucket_policy" "replica" {
  provider = aws.dr

  bucket = aws_s3_bucket.replica.id
  policy = local.bucket_policies.replica

  depends_on = [
    aws_s3_bucket_lifecycle_configuration.replica,
    aws_s3_bucket_object_lock_configuration.replica,
    aws_s3_bucket_public_access_block.replica,
    aws_s3_bucket_server_side_encryption_configuration.replica,
  ]
}

resource "aws_iam_role" "replication" {
  name        = "${var.name}-dumps-replication"
  description = "S3 copies the database dumps of ${var.name} to ${var.dr_region} with it"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnEquals    = { "aws:SourceArn" = local.bucket_arn }
      }
    }]
  })
}

resource "aws_iam_role_policy" "replication" {
  name = "replicate"
  role = aws_iam_role.replication.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadTheRules"
        Effect   = "Allow"
        Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
        Resource = [local.bucket_arn]
      },
      {
        Sid    = "ReadVersions"
        Effect = "Allow"
        Action = [
          "s3:GetObjectLegalHold",
          "s3:GetObjectRetention",
          "s3:GetObjectVersionAcl",
          "s3:GetObjectVersionForReplication",
          "s3:GetObjectVersionTagging",
        ]
        Resource = ["${local.bucket_arn}/*"]
      },
      {
        Sid      = "WriteCopies"
        Effect   = "Allow"
        Action   = ["s3:ReplicateObject", "s3:ReplicateTags"]
        Resource = ["${local.replica_arn}/*"]
      },
      {
        Sid       = "Decrypt"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [aws_kms_key.dumps.arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
      },
      {
        Sid       = "Encrypt"
        Effect    = "Allow"
        Action    = ["kms:Encrypt", "kms:GenerateDataKey"]
        Resource  = [aws_kms_key.replica.arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.dr_region}.amazonaws.com" } }
      },
    ]
  })
}

resource "aws_s3_bucket_replication_configuration" "dumps" {
  bucket = aws_s3_bucket.dumps.id
  role   = aws_iam_role.replication.arn

  rule {
    id       = "to-${var.dr_region}"
    priority = 0
    status   = "Enabled"
    filter {}

    # A dump deleted here must still be readable there.
    delete_marker_replication {
      status = "Disabled"
    }

    source_selection_criteria {
      sse_kms_encrypted_objects {
        status = "Enabled"
      }
    }

    destination {
      bucket        = aws_s3_bucket.replica.arn
      storage_class = "STANDARD"

      encryption_configuration {
        replica_kms_key_id = aws_kms_key.replica.arn
      }

      replication_time {
        status = "Enabled"

        time {
          minutes = 15
        }
      }

      metrics {
        status = "Enabled"

        event_threshold {
          minutes = 15
        }
      }
    }
  }

  depends_on = [
    aws_iam_role_policy.replication,
    aws_s3_bucket_object_lock_configuration.replica,
    aws_s3_bucket_versioning.dumps,
    aws_s3_bucket_versioning.replica,
  ]
}
