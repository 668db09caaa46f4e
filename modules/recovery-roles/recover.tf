# What `lifeboat recover` takes beyond looking (adopt.tf) and launching: it replaces one instance.

locals {
  _recovers = [
    {
      Sid       = "ReplaceTheInstance"
      Effect    = "Allow"
      Action    = ["ec2:TerminateInstances"]
      Resource  = ["arn:aws:ec2:*:${var.account_id}:instance/*"]
      Condition = { StringEquals = { "aws:ResourceTag/application" = var.name } }
    },
    {
      Sid      = "MoveTheAddress"
      Effect   = "Allow"
      Action   = ["ec2:DisassociateAddress"]
      Resource = ["arn:aws:ec2:*:${var.account_id}:*"]
    },
    # GitLab's DATABASE_URL holds it; RDS keeps it and marks it with the instance that it belongs to.
    {
      Sid       = "ReadTheDatabasesPassword"
      Effect    = "Allow"
      Action    = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
      Resource  = ["arn:aws:secretsmanager:*:${var.account_id}:secret:rds!db-*"]
      Condition = { ArnLike = { "aws:ResourceTag/aws:rds:primaryDBInstanceArn" = local._database_arns.instances } }
    },
    # Secrets and dumps lie under keys of the stack, and the services read them in the name of whoever asks.
    {
      Sid      = "UseTheKeysOfSecretsAndDumps"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = ["arn:aws:kms:*:${var.account_id}:key/*"]
      Condition = {
        StringEquals = { "aws:ResourceTag/application" = var.name }
        StringLike   = { "kms:ViaService" = ["s3.*.amazonaws.com", "secretsmanager.*.amazonaws.com"] }
      }
    },
    {
      Sid      = "KeepVariables"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = ["arn:aws:s3:::${var.name}-dumps-${var.account_id}-*/gitlab/*"]
    },
  ]
}
