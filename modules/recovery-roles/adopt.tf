# What adopting a restored database takes, and what follows it. A policy of its own: IAM allows the inline ones of a role
# 10,240 characters together. Taking an older generation away (`lifeboat retire`) is for who applies the stack.

locals {
  _adopts = [
    # Its mark of the run goes, its backups are copied, its password is made under the stack's key.
    {
      Sid      = "AdoptDatabases"
      Effect   = "Allow"
      Action   = ["rds:RemoveTagsFromResource", "rds:StartDBInstanceAutomatedBackupsReplication"]
      Resource = [local._database_arns.instances, "arn:aws:rds:*:${var.account_id}:auto-backup:*"]
    },
    {
      Sid      = "MakePasswordsOfDatabases"
      Effect   = "Allow"
      Action   = ["secretsmanager:CreateSecret", "secretsmanager:TagResource"]
      Resource = ["arn:aws:secretsmanager:*:${var.account_id}:secret:rds!db-*"]
    },
    {
      Sid      = "EncryptDatabasesUnderTheKeys"
      Effect   = "Allow"
      Action   = ["kms:CreateGrant"]
      Resource = ["arn:aws:kms:*:${var.account_id}:key/*"]
      Condition = {
        StringEquals = { "aws:ResourceTag/application" = var.name }
        StringLike   = { "kms:ViaService" = ["rds.*.amazonaws.com", "secretsmanager.*.amazonaws.com"] }
      }
    },
    # The alarm, the backups, and the right of the application to read its password. What followed a database that is lost
    # goes, which takes no copy away; an alarm tells of each change of the plan.
    {
      Sid    = "LetTheBackupsFollow"
      Effect = "Allow"
      Action = [
        "backup:CreateBackupSelection",
        "backup:CreateRestoreTestingSelection",
        "backup:DeleteBackupSelection",
        "backup:DeleteRestoreTestingSelection",
      ]
      Resource = ["*"]
    },
    {
      Sid      = "LetTheAlarmsFollow"
      Effect   = "Allow"
      Action   = ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"]
      Resource = ["arn:aws:cloudwatch:*:${var.account_id}:alarm:${var.name}-*"]
    },
    {
      Sid      = "LetTheApplicationReadItsPassword"
      Effect   = "Allow"
      Action   = ["iam:PutRolePolicy"]
      Resource = ["arn:aws:iam::${var.account_id}:role/${var.name}-app"]
    },
    {
      Sid      = "LookAtThisPolicy"
      Effect   = "Allow"
      Action   = ["iam:GetPolicy", "iam:GetPolicyVersion"]
      Resource = ["arn:aws:iam::${var.account_id}:policy/${var.name}-*"]
    },
  ]
}

resource "aws_iam_policy" "adopts" {
  name        = "${var.name}-adopt-databases"
  description = "Adopt a restored database of ${var.name} (${var.environment})"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local._adopts })
}

resource "aws_iam_role_policy_attachment" "adopts" {
  role       = aws_iam_role.this["restore_operator"].name
  policy_arn = aws_iam_policy.adopts.arn
}
