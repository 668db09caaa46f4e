# Where dumps of the database lie: a versioned, locked bucket that its writer can add to and nobody can thin out.

locals {
  bucket         = "${var.name}-dumps-${var.account_id}-${var.region}"
  replica_bucket = "${var.name}-dumps-${var.account_id}-${var.dr_region}"
  bucket_arn     = "arn:aws:s3:::${local.bucket}"
  replica_arn    = "arn:aws:s3:::${local.replica_bucket}"

  evidence = "evidence/" # beside the dumps, where lifeboat writes what recoveries and drills proved; no rule expires it

  # Conditions compare names, so the role need not exist yet.
  break_glass = sort(setunion(var.break_glass_role_arns, ["arn:aws:iam::${var.account_id}:role/${var.name}-break-glass"]))

  # A user may repair and take down a disposable environment after an apply was cut off; the roles in it may not.
  _may_change_protection = concat(local.break_glass, var.teardown ? ["arn:aws:iam::${var.account_id}:user/*"] : [])

  # The guard guards itself; a disposable environment must be able to take its own policy away.
  _guarded_bucket_actions = concat(
    [
      "s3:DeleteBucket",
      "s3:PutBucketObjectLockConfiguration",
      "s3:PutBucketVersioning",
      "s3:PutEncryptionConfiguration",
      "s3:PutLifecycleConfiguration",
      "s3:PutReplicationConfiguration",
    ],
    var.teardown ? [] : ["s3:DeleteBucketPolicy", "s3:PutBucketPolicy"],
  )

  # Days after which the bucket expires what lifeboat tagged (`lifeboat retention apply`): "expire" is gone the next day,
  # the others are the back-stop for the time when nobody runs lifeboat any more.
  expiry_days = {
    expire  = 1
    daily   = var.retention.current_days
    weekly  = var.retention.weekly_days
    monthly = var.retention.monthly_days
    yearly  = var.retention.yearly_days
  }

  _buckets = {
    primary = { arn = local.bucket_arn, key_arn = aws_kms_key.dumps.arn }
    replica = { arn = local.replica_arn, key_arn = aws_kms_key.replica.arn }
  }

  bucket_policies = {
    for place, bucket in local._buckets : place => jsonencode({
      Version = "2012-10-17"
      Statement = [
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
          Action    = ["s3:BypassGovernanceRetention", "s3:DeleteObjectVersion", "s3:PutObjectLegalHold"]
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
        # The newest version is the dump: who may add one must not put another manifest over one that is proven. The parts of
        # an upload create no object and take no condition (S3 user guide, "Enforce conditional writes").
        {
          Sid       = "NothingIsWrittenOver"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:PutObject"
          Resource  = ["${bucket.arn}/${var.prefix}*", "${bucket.arn}/${local.evidence}*"]
          Condition = {
            ArnNotLike = { "aws:PrincipalArn" = local.break_glass }
            Bool       = { "s3:ObjectCreationOperation" = "true" }
            Null       = { "s3:if-none-match" = "true" }
          }
        },
        # What a recovery proved (docs/evidence.md) is not hidden under a delete marker either: beneath one it would expire.
        {
          Sid       = "EvidenceStays"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:DeleteObject"
          Resource  = ["${bucket.arn}/${local.evidence}*"]
          Condition = { ArnNotLike = { "aws:PrincipalArn" = local.break_glass } }
        },
      ]
    })
  }

  key_policies = {
    for place, region in { primary = var.region, replica = var.dr_region } : place => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [{
          Sid       = "AccountDecidesByIam"
          Effect    = "Allow"
          Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
          Action    = "kms:*"
          Resource  = "*"
        }],
        # What makes the dumps writes its log under the key of the dumps.
        [{
          Sid       = "LogsOfWhatMakesDumps"
          Effect    = "Allow"
          Principal = { Service = "logs.${region}.amazonaws.com" }
          Action    = ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
          Resource  = "*"
          Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:${region}:${var.account_id}:log-group:/lifeboat/${var.name}-dump*" } }
        }],
        # A dump whose key is gone is gone, whatever locks the object; and who writes this policy could take that back.
        var.teardown ? [] : [{
          Sid       = "KeyStays"
          Effect    = "Deny"
          Principal = { AWS = "*" }
          Action    = ["kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]
          Resource  = "*"
          Condition = { ArnNotLike = { "aws:PrincipalArn" = local.break_glass } }
        }],
      )
    })
  }
}

resource "aws_kms_key" "dumps" {
  description             = "Database dumps of ${var.name} (${var.environment})"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  policy                  = local.key_policies.primary

  # KMS makes no key whose maker may not write its policy again, unless it is told that this is meant (CreateKey).
  bypass_policy_lockout_safety_check = !var.teardown
}

resource "aws_kms_alias" "dumps" {
  name          = "alias/${var.name}-dumps"
  target_key_id = aws_kms_key.dumps.key_id
}

resource "aws_s3_bucket" "dumps" {
  # checkov:skip=CKV_AWS_18:Access logs would need a second unprotected bucket; CloudTrail data events record who read a dump.
  # checkov:skip=CKV2_AWS_62:The age of the newest dump is watched; an event for each would say less.
  bucket              = local.bucket
  force_destroy       = var.teardown
  object_lock_enabled = true

  lifecycle {
    postcondition {
      condition     = self.region == var.region
      error_message = "Provider aws works in ${self.region}, but region is ${var.region}: make both the same."
    }
  }
}

resource "aws_s3_bucket_versioning" "dumps" {
  bucket = aws_s3_bucket.dumps.id

  versioning_configuration {
    status = "Enabled"
  }

  lifecycle {
    postcondition {
      condition     = self.versioning_configuration[0].status == "Enabled"
      error_message = "Versioning of ${local.bucket} is not enabled: without it an overwritten dump cannot come back. Apply again, then find out who suspended it."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "dumps" {
  bucket                  = aws_s3_bucket.dumps.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "dumps" {
  bucket = aws_s3_bucket.dumps.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "dumps" {
  bucket = aws_s3_bucket.dumps.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.dumps.arn
    }
  }
}

resource "aws_s3_bucket_object_lock_configuration" "dumps" {
  bucket = aws_s3_bucket.dumps.id

  rule {
    default_retention {
      mode = var.object_lock.mode
      days = var.object_lock.days
    }
  }

  depends_on = [aws_s3_bucket_versioning.dumps]
}

resource "aws_s3_bucket_lifecycle_configuration" "dumps" {
  bucket = aws_s3_bucket.dumps.id

  # A dump that nobody has judged yet, and one that lifeboat holds, bears no tag that a rule acts on: S3 knows no rule
  # with an exception, and one for the whole prefix would also take what is kept for ever.
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

  # Infrequent access answers at once. An archive class takes hours, which the recovery time objective does not have.
  dynamic "rule" {
    for_each = var.retention.infrequent_access_after_days[*]

    content {
      id     = "infrequent-access"
      status = "Enabled"

      filter {
        prefix = var.prefix
      }

      transition {
        days          = rule.value
        storage_class = "STANDARD_IA"
      }
    }
  }

  # S3 takes no marker clean-up beside an expiry in days.
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

  depends_on = [aws_s3_bucket_versioning.dumps]
}

# Last of all: from here on only break-glass may change what the others have set.
resource "aws_s3_bucket_policy" "dumps" {
  bucket = aws_s3_bucket.dumps.id
  policy = local.bucket_policies.primary

  depends_on = [
    aws_s3_bucket_lifecycle_configuration.dumps,
    aws_s3_bucket_object_lock_configuration.dumps,
    aws_s3_bucket_public_access_block.dumps,
    aws_s3_bucket_replication_configuration.dumps,
    aws_s3_bucket_server_side_encryption_configuration.dumps,
  ]
}
