# The state belongs to the other root, whose names are fixed; its key is known here by its alias only.
locals {
  _state_bucket_arn = "arn:aws:s3:::${var.name}-tfstate-${var.account_id}-${var.region}"
  _state_copies_arn = "arn:aws:s3:::${var.name}-tfstate-${var.account_id}-${var.dr_region}"
  _state_keys       = ["stack.tfstate", "state.tfstate"]

  # Which state was found sound last, written down where nothing of the state reaches (docs/decisions/known-states.md).
  _known_states = "known-states/${var.environment}/*"

  # What a dump notes of the stack that it was made beside: where things are, and the state's serial.
  _read_state_policy_json = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadTheStacksState"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${local._state_bucket_arn}/stack.tfstate"]
      },
      {
        Sid       = "FindTheStacksState"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [local._state_bucket_arn]
        Condition = { StringEquals = { "s3:prefix" = "stack.tfstate" } }
      },
      {
        Sid      = "DecryptIt"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:aws:kms:${var.region}:${var.account_id}:key/*"]
        Condition = {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${var.name}-tfstate" }
          StringEquals               = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" }
        }
      },
    ]
  })

  _state_policy_json = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "FindStates"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource = [local._state_bucket_arn, local._state_copies_arn]
        Condition = {
          StringLike = { "s3:prefix" = concat(local._state_keys, [for key in local._state_keys : "${key}.tflock"], ["env:/*", "runs/*", local._known_states]) }
        }
      },
      {
        Sid      = "ReadAndWriteStates"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
        Resource = concat([for key in local._state_keys : "${local._state_bucket_arn}/${key}"], ["${local._state_bucket_arn}/runs/*", "${local._state_copies_arn}/${local._known_states}"])
      },
      {
        Sid      = "TakeAndReleaseLocks"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = ["${local._state_bucket_arn}/*.tfstate.tflock"] # short: IAM allows a role 10,240 characters of inline policies
      },
      {
        Sid      = "UseTheLockTable"
        Effect   = "Allow"
        Action   = ["dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = ["arn:aws:dynamodb:${var.region}:${var.account_id}:table/${var.name}-tflock"]
      },
      {
        Sid      = "UseTheKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = ["arn:aws:kms:*:${var.account_id}:key/*"]
        Condition = {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${var.name}-tfstate" }
          StringEquals               = { "kms:ViaService" = ["dynamodb.${var.region}.amazonaws.com", "s3.${var.region}.amazonaws.com", "s3.${var.dr_region}.amazonaws.com"] }
        }
      },
      {
        Sid      = "ReadCopies"
        Effect   = "Allow"
        Action   = ["s3:GetObject*"]
        Resource = ["${local._state_copies_arn}/*.tfstate"]
      },
    ]
  })

  # A test of alarms writes down what it makes before it does, as every run does.
  _alarm_tests = [
    {
      Sid      = "KeepTheJournalOfATest"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = ["${local._state_bucket_arn}/runs/*-alarms-*/*"]
    },
    {
      # While it listens nobody sweeps, and nobody drills.
      Sid       = "KeepSweepsAway"
      Effect    = "Allow"
      Action    = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      Resource  = ["arn:aws:dynamodb:${var.region}:${var.account_id}:table/${var.name}-tflock"]
      Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["lifeboat/${var.environment}/drill"] } }
    },
    {
      Sid      = "UseTheKeyOfTheJournal"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = ["arn:aws:kms:${var.region}:${var.account_id}:key/*"]
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${var.name}-tfstate" }
        StringEquals               = { "kms:ViaService" = ["dynamodb.${var.region}.amazonaws.com", "s3.${var.region}.amazonaws.com"] }
      }
    },
  ]

  # What `lifeboat status` looks at beside the dumps and the stack's own state: settings, histories and journals, no content.
  _status_policy_json = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "backup:Describe*",
          "backup:Get*",
          "backup:List*",
          "cloudwatch:DescribeAlarms",
          "cloudwatch:GetMetricData",
          "dlm:GetLifecyclePolicies",
          "dlm:GetLifecyclePolicy",
          "ec2:Describe*",
          "events:ListRules",
          "events:ListTargetsByRule",
          "kms:DescribeKey",
          "rds:Describe*",
          "rds:ListTagsForResource",
          "s3:ListAllMyBuckets",
          "scheduler:GetSchedule",
          "scheduler:ListSchedules",
          "secretsmanager:ListSecrets",
          "sns:GetSubscriptionAttributes",
          "sns:GetTopicAttributes",
          "sns:ListSubscriptionsByTopic",
          "sqs:ListQueueTags",
          "sqs:ListQueues",
        ]
        Resource = ["*"]
      },
      # What a drill's ledger names is looked at by its name.
      {
        Sid    = "LookAtWhatDrillsMake"
        Effect = "Allow"
        Action = ["secretsmanager:DescribeSecret", "sqs:GetQueueUrl"]
        Resource = [
          "arn:aws:secretsmanager:*:${var.account_id}:secret:${var.name}-drill-*",
          "arn:aws:sqs:*:${var.account_id}:${var.name}-drill-*",
        ]
      },
      {
        Sid      = "LookAtCopiesOfTheState"
        Effect   = "Allow"
        Action   = ["s3:GetObjectTagging"]
        Resource = ["${local._state_bucket_arn}/runs/*/drill.tfstate"]
      },
      {
        Sid    = "LookAtBuckets"
        Effect = "Allow"
        Action = [
          "s3:GetBucket*",
          "s3:GetLifecycleConfiguration",
          "s3:GetReplicationConfiguration",
        ]
        Resource = [for bucket in ["dumps", "tfstate"] : "arn:aws:s3:::${var.name}-${bucket}-${var.account_id}-*"]
      },
      {
        Sid       = "ListEvidence"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = ["arn:aws:s3:::${var.name}-dumps-${var.account_id}-*"]
        Condition = { StringLike = { "s3:prefix" = ["evidence/*"] } }
      },
      {
        Sid      = "ReadEvidence"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = ["arn:aws:s3:::${var.name}-dumps-${var.account_id}-*/evidence/*"]
      },
      {
        Sid      = "ListStates"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource = [local._state_bucket_arn, local._state_copies_arn]
      },
      {
        Sid    = "ReadStatesAndJournals"
        Effect = "Allow"
        Action = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = concat(
          flatten([for key in local._state_keys : ["${local._state_bucket_arn}/${key}", "${local._state_bucket_arn}/${key}.tflock", "${local._state_copies_arn}/${key}"]]),
          ["${local._state_bucket_arn}/runs/*", "${local._state_copies_arn}/${local._known_states}", "${local._state_copies_arn}/${var.name}/evidence/*"],
        )
      },
      {
        Sid      = "LookAtTheLockTable"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:GetItem"]
        Resource = ["arn:aws:dynamodb:${var.region}:${var.account_id}:table/${var.name}-tflock"]
      },
      {
        Sid      = "DecryptThem"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:aws:kms:*:${var.account_id}:key/*"]
        Condition = {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = "alias/${var.name}-tfstate" }
          StringEquals               = { "kms:ViaService" = ["dynamodb.${var.region}.amazonaws.com", "s3.${var.region}.amazonaws.com", "s3.${var.dr_region}.amazonaws.com"] }
        }
      },
    ]
  })
}
