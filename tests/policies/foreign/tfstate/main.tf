# In the shape of cloudposse/terraform-aws-tfstate-backend with its defaults: bucket, policy, versions, lock table. Written
# anew as resources, by the documented inputs; the file that it writes the backend block into is left out.

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
  region = "us-east-1"
}

variable "namespace" {
  type    = string
  default = "eg"
}

variable "stage" {
  type    = string
  default = "test"
}

variable "deletion_protection_enabled" {
  type    = bool
  default = false
}

variable "enable_point_in_time_recovery" {
  type    = bool
  default = true
}

locals {
  id   = join("-", [var.namespace, var.stage, "terraform", "state"])
  tags = { Namespace = var.namespace, Stage = var.stage, Name = local.id }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "DenyIncorrectEncryptionHeader"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = ["arn:aws:s3:::${local.id}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "s3:x-amz-server-side-encryption"
      values   = ["AES256", "aws:kms"]
    }
  }

  statement {
    sid       = "EnforceTlsRequestsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = ["arn:aws:s3:::${local.id}", "arn:aws:s3:::${local.id}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket" "default" {
  count = 1

  bucket        = substr(local.id, 0, 63)
  force_destroy = false
  tags          = local.tags
}

resource "aws_s3_bucket_policy" "default" {
  count = 1

  bucket     = one(aws_s3_bucket.default[*].id)
  policy     = data.aws_iam_policy_document.bucket.json
  depends_on = [aws_s3_bucket_public_access_block.default]
}

resource "aws_s3_bucket_versioning" "default" {
  count = 1

  bucket = one(aws_s3_bucket.default[*].id)

  versioning_configuration {
    status     = "Enabled"
    mfa_delete = "Disabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "default" {
  count = 1

  bucket = one(aws_s3_bucket.default[*].id)

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "default" {
  count = 1

  bucket                  = one(aws_s3_bucket.default[*].id)
  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "default" {
  count = 1

  bucket = one(aws_s3_bucket.default[*].id)

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_dynamodb_table" "with_server_side_encryption" {
  count = 1

  name                        = "${local.id}-lock"
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.deletion_protection_enabled
  hash_key                    = "LockID"
  tags                        = merge(local.tags, { Attributes = "lock" })

  server_side_encryption {
    enabled = true
  }

  point_in_time_recovery {
    enabled = var.enable_point_in_time_recovery
  }

  attribute {
    name = "LockID"
    type = "S"
  }
}
