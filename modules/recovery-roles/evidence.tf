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
      Action    = ["s3:ListBucket"]
      Resource  = [local._evidence_buckets]
      Condition = { StringLike = { "s3:prefix" = ["evidence/*"] } }
    },
    {
      Sid       = "FindItsDigests"
      Effect    = "Allow"
      Action    = ["s3:ListBucket"]
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

resource "aws_iam_policy" "evidence" {
  for_each = {
    add  = { description = "Add evidence of recoveries and drills", statements = local._adds_evidence }
    read = { description = "Read evidence of recoveries and drills", statements = local._reads_evidence }
  }

  name        = "${var.name}-${each.key}-evidence"
  description = "${each.value.description} of ${var.name} (${var.environment})"
  policy      = jsonencode({ Version = "2012-10-17", Statement = each.value.statements })
}

resource "aws_iam_role_policy_attachment" "evidence" {
  for_each = {
    "restore_operator/add"  = { role = "restore_operator", policy = "add" }
    "restore_operator/read" = { role = "restore_operator", policy = "read" }
    "verifier/read"         = { role = "verifier", policy = "read" }
  }

  role       = aws_iam_role.this[each.value.role].name
  policy_arn = aws_iam_policy.evidence[each.value.policy].arn
}
