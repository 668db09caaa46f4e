# Evidence of recoveries and drills (docs/evidence.md): who recovers adds to it, who looks reads it, nobody here changes it or
# takes it away. Policies of their own: IAM allows the inline ones of a role 10,240 characters together.

locals {
  _evidence_buckets = "arn:aws:s3:::${var.name}-dumps-${var.account_id}-*"
  _digest_buckets   = "arn:aws:s3:::${var.name}-tfstate-${var.account_id}-*"
  _evidence_objects = ["${local._evidence_buckets}/evidence/*", "${local._digest_buckets}/${var.name}/evidence/*"]

  _reads_evidence = [
    {
      Sid       = "FindEvidence"
      Effect    = "Allow"
      Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
      Resource  = [local._evidence_buckets]
      Condition = { StringLike = { "s3:prefix" = ["evidence/*"] } }
    },
    {
      Sid       = "FindItsDigests"
      Effect    = "Allow"
      Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
      Resource  = [local._digest_buckets]
      Condition = { StringLike = { "s3:prefix" = ["${var.name}/evidence/*"] } }
    },
    {
      Sid      = "ReadEvidence"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = local._evidence_objects
    },
    # The digests lie under the key of the state's copies, which only its alias tells from here.
    {
      Sid      = "DecryptEvidence"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = ["arn:aws:kms:*:${var.account_id}:key/*"]
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = ["alias/${var.name}-dumps", "alias/${var.name}-tfstate"] }
        StringLike                 = { "kms:ViaService" = "s3.*.amazonaws.com" }
      }
    },
  ]

  _adds_evidence = [
    {
      Sid      = "AddEvidence"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = local._evidence_objects
    },
    {
      Sid      = "EncryptEvidence"
      Effect   = "Allow"
      Action   = ["kms:GenerateDataKey"]
      Resource = ["arn:aws:kms:*:${var.account_id}:key/*"]
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = ["alias/${var.name}-dumps", "alias/${var.name}-tfstate"] }
        StringLike                 = { "kms:ViaService" = "s3.*.amazonaws.com" }
      }
    },
  ]
}

resource "aws_iam_policy" "adds_evidence" {
  name        = "${var.name}-add-evidence"
  description = "Add evidence of recoveries and drills of ${var.name} (${var.environment})"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local._adds_evidence })
}

resource "aws_iam_policy" "reads_evidence" {
  name        = "${var.name}-read-evidence"
  description = "Read evidence of recoveries and drills of ${var.name} (${var.environment})"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local._reads_evidence })
}

resource "aws_iam_role_policy_attachment" "adds_evidence" {
  role       = aws_iam_role.this["restore_operator"].name
  policy_arn = aws_iam_policy.adds_evidence.arn
}

resource "aws_iam_role_policy_attachment" "reads_evidence" {
  for_each = toset(["restore_operator", "verifier"])

  role       = aws_iam_role.this[each.key].name
  policy_arn = aws_iam_policy.reads_evidence.arn
}
