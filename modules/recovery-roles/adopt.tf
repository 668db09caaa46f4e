# What making a database for a dump and adopting a restored one takes, what follows it, the looking that any plan takes, and the
# finding of what drills left. A policy of its own: IAM allows the inline ones of a role 10,240 characters together. Taking an older generation away
# (`lifeboat retire`) is for who applies the stack.

locals {
  _adopts = [
    # A plan reads every resource of the stack once more, settings of backups included.
    {
      Sid    = "LookAtTheWholeStack"
      Effect = "Allow"
      Action = [
        "cloudwatch:GetDashboard",
        "cloudwatch:ListTagsForResource",
        "ecs:DescribeClusters",
        "ecs:DescribeTaskDefinition",
        "events:DescribeRule",
        "events:ListTagsForResource",
        "events:ListTargetsByRule",
        "iam:GetOpenIDConnectProvider",
        "kms:GetKeyPolicy",
        "kms:GetKeyRotationStatus",
        "kms:ListAliases",
        "kms:ListResourceTags",
        "logs:DescribeLogGroups",
        "logs:ListTagsForResource",
        "route53:ListTagsForResource",
        "scheduler:GetSchedule",
        "secretsmanager:GetResourcePolicy",
        "servicequotas:GetServiceQuota",
        "sns:GetSubscriptionAttributes",
        "sns:GetTopicAttributes",
        "sns:ListTagsForResource",
        "sqs:GetQueueAttributes",
        "sqs:ListQueueTags",
      ]
      Resource = ["*"]
    },
    {
      Sid    = "LookAtRolesOfTheApplication"
      Effect = "Allow"
      Action = ["iam:GetInstanceProfile", "iam:GetRole*", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"]
      Resource = [
        "arn:aws:iam::${var.account_id}:instance-profile/${var.name}-*",
        "arn:aws:iam::${var.account_id}:role/${var.name}-*",
      ]
    },
    {
      Sid    = "LookAtBucketsOfTheApplication"
      Effect = "Allow"
      Action = [
        "s3:GetAccelerateConfiguration",
        "s3:GetBucket*",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
      ]
      Resource = ["arn:aws:s3:::${var.name}-*"]
    },
    # An empty one for a dump, marked as of its run.
    {
      Sid    = "MakeEmptyDatabases"
      Effect = "Allow"
      Action = ["rds:CreateDBInstance"]
      Resource = concat(
        [local._database_arns.instances],
        [for kind in ["og", "pg", "subgrp"] : "arn:aws:rds:*:${var.account_id}:${kind}:*"],
      )
      Condition = { Null = { "aws:RequestTag/lifeboat:run" = "false" } }
    },
    # That the dump was restored and held its data, where every verification of it is.
    {
      Sid      = "ProveDumps"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = ["arn:aws:s3:::${var.name}-dumps-${var.account_id}-*/*/proofs/*"]
    },
    # Its backups are copied, its mark of the run goes (and no other tag: those tell what is protected), its password is made
    # under the stack's key.
    {
      Sid      = "AdoptDatabases"
      Effect   = "Allow"
      Action   = ["rds:StartDBInstanceAutomatedBackupsReplication"]
      Resource = [local._database_arns.instances, "arn:aws:rds:*:${var.account_id}:auto-backup:*"]
    },
    {
      Sid       = "TakeTheMarkOff"
      Effect    = "Allow"
      Action    = ["rds:RemoveTagsFromResource"]
      Resource  = [local._database_arns.instances]
      Condition = { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["lifeboat:run"] } }
    },
    # What bears the mark of a run may be cleared away, so the mark comes with the call that makes a thing, which has no tags
    # then, and never later: everything of the stack and every snapshot of it is tagged with the application. IAM compares the
    # names of condition keys, and so the mark that is asked for, without regard to case.
    {
      Sid      = "MarksComeWithTheMaking"
      Effect   = "Deny"
      Action   = ["rds:AddTagsToResource"]
      Resource = ["*"]
      Condition = {
        "ForAnyValue:StringEqualsIgnoreCase" = { "aws:TagKeys" = ["lifeboat:run"] }
        Null                                 = { "aws:ResourceTag/application" = "false" }
      }
    },
    # AWS's own policy for restores lets its holder delete any instance and tag anything.
    {
      Sid       = "DatabasesOfNoRunStay"
      Effect    = "Deny"
      Action    = ["rds:DeleteDBInstance"]
      Resource  = ["*"]
      Condition = { Null = { "aws:ResourceTag/lifeboat:run" = "true" } }
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
    # The alarm, the backups, and the right to read its password. What followed a database that is lost
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
    # Whoever reads the passwords by name: the application, and the dump job where there is one.
    {
      Sid    = "LetThePasswordBeRead"
      Effect = "Allow"
      Action = ["iam:PutRolePolicy"]
      Resource = [
        "arn:aws:iam::${var.account_id}:role/${var.name}-app",
        "arn:aws:iam::${var.account_id}:role/${var.name}-dump",
      ]
    },
    # What drills and tests of alarms left, in both regions, and with or without a network for drills: `lifeboat sweep` looks for
    # everything that bears the mark, and nobody else takes away the queue of a test that was killed.
    {
      Sid      = "FindWhatDrillsLeft"
      Effect   = "Allow"
      Action   = ["secretsmanager:ListSecrets", "sns:ListSubscriptions", "sqs:ListQueues"]
      Resource = ["*"]
    },
    {
      Sid      = "ClearQueuesOfDrills"
      Effect   = "Allow"
      Action   = ["sqs:DeleteQueue", "sqs:GetQueueUrl"]
      Resource = ["arn:aws:sqs:*:${var.account_id}:${var.name}-drill-*"]
    },
    # On the topics of the application; SNS names a subscription by its topic's ARN and its own id.
    {
      Sid      = "EndTheirSubscriptions"
      Effect   = "Allow"
      Action   = ["sns:Unsubscribe"]
      Resource = ["arn:aws:sns:*:${var.account_id}:${var.name}-*"]
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
