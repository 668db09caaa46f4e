# Where Terraform keeps its state: a versioned bucket, its copy in the DR region, and the lock table.

locals {
  bucket           = "${var.name}-tfstate-${var.account_id}-${var.region}"
  replica_bucket   = "${var.name}-tfstate-${var.account_id}-${var.dr_region}"
  bucket_arn       = "arn:aws:s3:::${local.bucket}"
  replica_arn      = "arn:aws:s3:::${local.replica_bucket}"
  table            = "${var.name}-tflock"
  known_states     = "known-states/${var.environment}/*"           # where lifeboat writes down, in the replica, which state was sound last
  evidence_digests = "${local.replica_arn}/${var.name}/evidence/*" # of what recoveries proved, which lies in the bucket of dumps
  table_arn        = "arn:aws:dynamodb:${var.region}:${var.account_id}:table/${local.table}"

  # Conditions compare names, so the role need not exist yet.
  break_glass = sort(setunion(var.break_glass_role_arns, ["arn:aws:iam::${var.account_id}:role/${var.name}-break-glass"]))

  # A user may repair and take down a disposable environment after an apply was cut off; the roles in it may not.
  _may_change_protection = concat(local.break_glass, var.teardown ? ["arn:aws:iam::${var.account_id}:user/*"] : [])

  # The guard guards itself; a disposable environment must be able to take its own policy away.
  _guarded_bucket_actions = concat(
    ["s3:DeleteBucket", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration"],
    var.teardown ? [] : ["s3:DeleteBucketPolicy", "s3:PutBucketPolicy"],
  )

  _buckets = {
    primary = { arn = local.bucket_arn, key_arn = aws_kms_key.state.arn }
    replica = { arn = local.replica_arn, key_arn = aws_kms_key.replica.arn }
  }

  _digests_stay = [
    {
      Sid       = "DigestsAreNotWrittenOver"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = [local.evidence_digests]
      Condition = {
        ArnNotLike = { "aws:PrincipalArn" = local.break_glass }
        Null       = { "s3:if-none-match" = "true" }
      }
    },
    {
      Sid       = "DigestsStay"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:DeleteObject"
      Resource  = [local.evidence_digests]
      Condition = { ArnNotLike = { "aws:PrincipalArn" = local.break_glass } }
    },
  ]

  bucket_policies = {
    for place, bucket in local._buckets : place => jsonencode({
      Version = "2012-10-17"
      Statement = concat([
        {
          Sid       = "OnlyOverTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [bucket.arn, "${bucket.arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid       = "OnlyOverModernTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [bucket.arn, "${bucket.arn}/*"]
          Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
        },
        {
          Sid       = "VersionsStay"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:DeleteObjectVersion"]
          Resource  = ["${bucket.arn}/*"]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = local.break_glass } }
        },
        {
          Sid       = "ProtectionStays"
          Effect    = "Deny"
          Principal = "*"
          Action    = local._guarded_bucket_actions
          Resource  = [bucket.arn]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = local._may_change_protection } }
        },
        {
          Sid       = "NoOtherKey"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:PutObject"
          Resource  = ["${bucket.arn}/*"]
          Condition = {
            Null            = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
            StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = bucket.key_arn }
          }
        },
        {
          Sid       = "NoWeakerEncryption"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:PutObject"
          Resource  = ["${bucket.arn}/*"]
          Condition = {
            Null            = { "s3:x-amz-server-side-encryption" = "false" }
            StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
          }
        },
        {
          Sid       = "NoCustomerKey"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:PutObject"
          Resource  = ["${bucket.arn}/*"]
          Condition = { Null = { "s3:x-amz-server-side-encryption-customer-algorithm" = "false" } }
        },
        ],
        # The digests of evidence (docs/evidence.md): what they say of a bundle is said once.
        [for statement in local._digests_stay : statement if place == "replica"],
      )
    })
  }

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "AccountDecidesByIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      }],
      # A state whose key is gone is gone, whatever protects the bucket.
      var.teardown ? [] : [{
        Sid       = "KeyStays"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = ["kms:DisableKey", "kms:ScheduleKeyDeletion"]
        Resource  = "*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.break_glass } }
      }],
    )
  })
}

resource "aws_kms_key" "state" {
  description             = "Terraform state of ${var.name} (${var.environment})"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  policy                  = local.key_policy

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "state" {
  name          = "alias/${var.name}-tfstate"
  target_key_id = aws_kms_key.state.key_id
}

resource "aws_s3_bucket" "state" {
  # checkov:skip=CKV_AWS_18:Access logs would need a second unprotected bucket; CloudTrail data events record who read the state.
  # checkov:skip=CKV2_AWS_62:Nothing reacts to a state being written.
  bucket        = local.bucket
  force_destroy = var.teardown

  lifecycle {
    prevent_destroy = true

    postcondition {
      condition     = self.region == var.region
      error_message = "Provider aws works in ${self.region}, but region is ${var.region}: make both the same."
    }
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }

  lifecycle {
    postcondition {
      condition     = self.versioning_configuration[0].status == "Enabled"
      error_message = "Versioning of ${local.bucket} is not enabled: without it an overwritten state cannot come back. Apply again, then find out who suspended it."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.state.arn
    }
  }
}

# After the lifecycle and the replication, which it guards: the guard would refuse those that an earlier, cut-off apply had
# not got to.
resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = local.bucket_policies.primary

  # S3 answers 409 when a policy and a public access block are written at once.
  depends_on = [
    aws_s3_bucket_lifecycle_configuration.state,
    aws_s3_bucket_public_access_block.state,
    aws_s3_bucket_replication_configuration.state,
    aws_s3_bucket_versioning.state,
  ]
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

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
      days_after_initiation = 7
    }
  }

  # Each apply leaves a version and a delete marker of its lock file: https://github.com/hashicorp/terraform/issues/36445
  dynamic "rule" {
    for_each = var.state_keys

    content {
      id     = "spent-locks-${replace(rule.value, "/", "-")}"
      status = "Enabled"

      filter {
        prefix = "${rule.value}.tflock"
      }

      noncurrent_version_expiration {
        noncurrent_days = 1
      }

      expiration {
        expired_object_delete_marker = true
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

# The table is there in every lock mode: lifeboat keeps its own lease in it, so that two operators never recover at once.
resource "aws_dynamodb_table" "lock" {
  name                        = local.table
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "LockID"
  deletion_protection_enabled = !var.teardown

  attribute {
    name = "LockID"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.state.arn
  }

  lifecycle {
    prevent_destroy = true
  }
}
