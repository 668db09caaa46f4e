# What each role may do by itself, and what none but break-glass may.

locals {
  _database_arns = {
    instances = "arn:aws:rds:*:${var.account_id}:db:${var.name}-*"
    snapshots = "arn:aws:rds:*:${var.account_id}:snapshot:${var.name}-*"
  }

  # Actions that destroy a copy or what makes it readable.
  _destroys_copies = [
    "backup:DeleteBackupPlan",
    "backup:DeleteBackupVault*",
    "backup:DeleteRecoveryPoint",
    "backup:DisassociateRecoveryPoint*",
    "backup:PutBackupVaultAccessPolicy",
    "backup:UpdateRecoveryPointLifecycle",
    "dlm:DeleteLifecyclePolicy",
    "dlm:UpdateLifecyclePolicy",
    "dynamodb:DeleteBackup",
    "kms:DisableKey",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "rds:DeleteDBInstanceAutomatedBackup",
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
  ]

  # Drills make snapshots and images of their own, marked with their run, and must be able to clear them away.
  _destroys_copies_unless_of_a_run = ["ec2:DeleteSnapshot", "ec2:DeregisterImage", "rds:DeleteDBSnapshot"]

  _never = [
    {
      Sid      = "CopiesStay"
      Effect   = "Deny"
      Action   = local._destroys_copies
      Resource = ["*"]
    },
    {
      Sid       = "CopiesOfNoRunStay"
      Effect    = "Deny"
      Action    = local._destroys_copies_unless_of_a_run
      Resource  = ["*"]
      Condition = { Null = { "aws:ResourceTag/lifeboat:run" = "true" } }
    },
  ]

  _look = {
    Sid    = "Look"
    Effect = "Allow"
    Action = [
      "backup:Describe*",
      "backup:Get*",
      "backup:List*",
      "cloudwatch:DescribeAlarms",
      "cloudwatch:GetMetricData",
      "dlm:Get*",
      "dynamodb:DescribeContinuousBackups",
      "ec2:Describe*",
      "events:List*",
      "kms:DescribeKey",
      "rds:Describe*",
      "rds:List*",
      "route53:GetHostedZone",
      "route53:List*",
      "s3:GetBucket*",
      "s3:GetReplicationConfiguration",
      "s3:ListAllMyBuckets",
      "scheduler:GetSchedule",
      "sns:GetSubscription*",
      "sns:List*",
      "ssm:DescribeInstanceInformation",
      "ssm:GetCommandInvocation",
      "ssm:ListCommands",
    ]
    Resource = ["*"]
  }

  _publish_ages = {
    Sid       = "PublishAges"
    Effect    = "Allow"
    Action    = ["cloudwatch:PutMetricData"]
    Resource  = ["*"]
    Condition = { StringEquals = { "cloudwatch:namespace" = "Lifeboat" } }
  }

  # What is tagged to expire stays as a version, locked or for superseded_days: a tag destroys nothing.
  _tag_dumps = {
    Sid      = "TagDumps"
    Effect   = "Allow"
    Action   = ["s3:PutObjectTagging"]
    Resource = ["arn:aws:s3:::${var.name}-dumps-${var.account_id}-*/*"]
  }

  # The environment is held against a recovery that may choose a dump meanwhile: one row of the lock table, and no digest of a
  # state. The table lies under the key of the state, which only its alias tells from here.
  _hold_environment = [
    {
      Sid       = "HoldTheEnvironment"
      Effect    = "Allow"
      Action    = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      Resource  = ["arn:aws:dynamodb:*:${var.account_id}:table/${var.name}-tflock"]
      Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["lifeboat/${var.environment}"] } }
    },
    {
      Sid      = "UseTheKeyOfTheLockTable"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = ["arn:aws:kms:*:${var.account_id}:key/*"]
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${var.name}-tfstate" }
        StringLike                 = { "kms:ViaService" = "dynamodb.*.amazonaws.com" }
      }
    },
  ]

  own_policies = {
    writer = jsonencode({
      Version   = "2012-10-17"
      Statement = concat([local._publish_ages], local._never)
    })

    verifier = jsonencode({
      Version   = "2012-10-17"
      Statement = concat([local._look, local._publish_ages], local._never)
    })

    retention = jsonencode({
      Version   = "2012-10-17"
      Statement = concat([local._tag_dumps], local._hold_environment, local._never)
    })

    restore_operator = jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [
          local._look,
          local._publish_ages,
          {
            Sid    = "RestoreDatabases"
            Effect = "Allow"
            Action = [
              "rds:AddTagsToResource",
              "rds:CopyDBSnapshot",
              "rds:CreateDBSnapshot",
              "rds:ModifyDBInstance",
              "rds:RebootDBInstance",
              "rds:RestoreDBInstanceFromDBSnapshot",
              "rds:RestoreDBInstanceToPointInTime",
            ]
            Resource = concat(
              sort(values(local._database_arns)),
              [for kind in ["auto-backup", "og", "pg", "snapshot", "subgrp"] : "arn:aws:rds:*:${var.account_id}:${kind}:*"],
            )
          },
          {
            Sid       = "ClearDatabasesOfARun"
            Effect    = "Allow"
            Action    = ["rds:DeleteDBInstance", "rds:DeleteDBSnapshot"]
            Resource  = sort(values(local._database_arns))
            Condition = { Null = { "aws:ResourceTag/lifeboat:run" = "false" } }
          },
          {
            Sid    = "LaunchFromImages"
            Effect = "Allow"
            Action = [
              "ec2:AssociateAddress",
              "ec2:CopyImage",
              "ec2:CreateImage",
              "ec2:CreateSnapshot",
              "ec2:CreateSnapshots",
              "ec2:CreateTags",
              "ec2:CreateVolume",
              "ec2:RegisterImage",
              "ec2:RunInstances",
            ]
            Resource = ["*"]
          },
          {
            Sid      = "CopyUnderTheKeys"
            Effect   = "Allow"
            Action   = ["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
            Resource = ["arn:aws:kms:*:${var.account_id}:key/*"]
            Condition = {
              StringEquals = { "aws:ResourceTag/application" = var.name }
              StringLike   = { "kms:ViaService" = ["ec2.*.amazonaws.com", "rds.*.amazonaws.com"] }
            }
          },
          {
            Sid       = "HandleInstancesOfTheApplication"
            Effect    = "Allow"
            Action    = ["ec2:ModifyInstanceAttribute", "ec2:StartInstances", "ec2:StopInstances"]
            Resource  = ["arn:aws:ec2:*:${var.account_id}:instance/*"]
            Condition = { StringEquals = { "aws:ResourceTag/application" = var.name } }
          },
          {
            Sid       = "ClearInstancesOfARun"
            Effect    = "Allow"
            Action    = ["ec2:DeleteSnapshot", "ec2:DeleteVolume", "ec2:DeregisterImage", "ec2:TerminateInstances"]
            Resource  = ["*"]
            Condition = { Null = { "aws:ResourceTag/lifeboat:run" = "false" } }
          },
          {
            Sid       = "RunCommandsOnTheApplication"
            Effect    = "Allow"
            Action    = ["ssm:SendCommand"]
            Resource  = ["arn:aws:ec2:*:${var.account_id}:instance/*"]
            Condition = { StringEquals = { "ssm:resourceTag/application" = var.name } }
          },
          {
            Sid      = "RunOnlyShellCommands"
            Effect   = "Allow"
            Action   = ["ssm:SendCommand"]
            Resource = ["arn:aws:ssm:*:*:document/AWS-RunShellScript"]
          },
          {
            Sid      = "EndCommands"
            Effect   = "Allow"
            Action   = ["ssm:CancelCommand"]
            Resource = ["*"]
          },
          {
            Sid      = "RestoreFromVaults"
            Effect   = "Allow"
            Action   = ["backup:StartBackupJob", "backup:StartCopyJob", "backup:StartRestoreJob"]
            Resource = ["*"]
          },
          {
            Sid      = "UseSecretsOfTheApplication"
            Effect   = "Allow"
            Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
            Resource = ["arn:aws:secretsmanager:*:${var.account_id}:secret:${var.name}/*"]
          },
          local._tag_dumps,
          {
            Sid      = "KeepDumps"
            Effect   = "Allow"
            Action   = ["s3:DeleteObject", "s3:PutObject"]
            Resource = ["arn:aws:s3:::${var.name}-dumps-${var.account_id}-*/*/kept.json"]
          },
          {
            Sid       = "ReleaseSnapshots"
            Effect    = "Allow"
            Action    = ["rds:RemoveTagsFromResource"]
            Resource  = [local._database_arns.snapshots]
            Condition = { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["lifeboat:keep"] } }
          },
          {
            Sid      = "SwitchTheName"
            Effect   = "Allow"
            Action   = ["route53:ChangeResourceRecordSets", "route53:GetChange"]
            Resource = ["*"]
          },
          {
            Sid       = "PassRoles"
            Effect    = "Allow"
            Action    = ["iam:PassRole"]
            Resource  = sort(setunion(var.passed_role_arns, [local._role_arns["restore_operator"]]))
            Condition = { StringEquals = { "iam:PassedToService" = ["backup.amazonaws.com", "ec2.amazonaws.com", "rds.amazonaws.com"] } }
          },
        ],
        local._recovers,
        local._never,
      )
    })

    break_glass = jsonencode({
      Version = "2012-10-17"
      Statement = [
        local._look,
        {
          Sid    = "PassTheGuardsOfTheBuckets"
          Effect = "Allow"
          Action = [
            "s3:BypassGovernanceRetention",
            "s3:DeleteBucketPolicy",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:Get*",
            "s3:List*",
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutBucketPolicy",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
            "s3:PutObject",
            "s3:PutObjectLegalHold",
            "s3:PutObjectRetention",
            "s3:PutReplicationConfiguration",
          ]
          Resource = flatten([
            for bucket in ["dumps", "tfstate"] : [
              "arn:aws:s3:::${var.name}-${bucket}-${var.account_id}-*",
              "arn:aws:s3:::${var.name}-${bucket}-${var.account_id}-*/*",
            ]
          ])
        },
        # Who writes a bucket's replication hands S3 the role that it copies with.
        {
          Sid       = "PassTheRoleOfTheCopies"
          Effect    = "Allow"
          Action    = ["iam:PassRole"]
          Resource  = [for bucket in ["dumps", "tfstate"] : "arn:aws:iam::${var.account_id}:role/${var.name}-${bucket}-replication"]
          Condition = { StringEquals = { "iam:PassedToService" = ["s3.amazonaws.com"] } }
        },
        {
          Sid    = "HandleKeys"
          Effect = "Allow"
          Action = [
            "kms:CancelKeyDeletion",
            "kms:Decrypt",
            "kms:DisableKey",
            "kms:EnableKey",
            "kms:GenerateDataKey",
            "kms:GetKeyPolicy",
            "kms:PutKeyPolicy",
            "kms:ScheduleKeyDeletion",
          ]
          Resource  = ["arn:aws:kms:*:${var.account_id}:key/*"]
          Condition = { StringEquals = { "aws:ResourceTag/application" = var.name } }
        },
        {
          Sid    = "HandleVaults"
          Effect = "Allow"
          Action = [
            "backup:DeleteBackupVaultAccessPolicy",
            "backup:DeleteBackupVaultLockConfiguration",
            "backup:DeleteRecoveryPoint",
            "backup:PutBackupVaultAccessPolicy",
            "backup:UpdateRecoveryPointLifecycle",
          ]
          Resource = [
            "arn:aws:backup:*:${var.account_id}:backup-vault:${var.name}-*",
            "arn:aws:backup:*:${var.account_id}:recovery-point:*",
            "arn:aws:ec2:*::image/*",
            "arn:aws:ec2:*::snapshot/*",
            "arn:aws:rds:*:${var.account_id}:snapshot:awsbackup:*",
          ]
        },
        {
          Sid      = "DeleteDatabaseCopies"
          Effect   = "Allow"
          Action   = ["rds:DeleteDBInstanceAutomatedBackup", "rds:DeleteDBSnapshot"]
          Resource = [local._database_arns.snapshots, "arn:aws:rds:*:${var.account_id}:auto-backup:*"]
        },
        {
          Sid       = "DeleteImagesAndSnapshots"
          Effect    = "Allow"
          Action    = ["ec2:DeleteSnapshot", "ec2:DeregisterImage"]
          Resource  = ["arn:aws:ec2:*::image/*", "arn:aws:ec2:*::snapshot/*"]
          Condition = { StringEquals = { "aws:ResourceTag/application" = var.name } }
        },
        {
          Sid    = "RepairTheLockTable"
          Effect = "Allow"
          # UpdateItem: the lease, which pruning copies is done under.
          Action = [
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:RestoreTableToPointInTime",
            "dynamodb:UpdateItem",
          ]
          Resource = ["arn:aws:dynamodb:*:${var.account_id}:table/${var.name}-tflock*"]
        },
      ]
    })
  }
}
