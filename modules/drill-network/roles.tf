# The instance of a drill is launched from an image of production and may believe that it is it: its role reads the secrets
# of drills, and none of production's.
resource "aws_iam_role" "instance" {
  name        = "${var.name}-drill-instance"
  description = "Instances of drills of ${var.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "ssm" {
  role       = aws_iam_role.instance.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_role_policy" "secrets" {
  name = "read-secrets-of-drills"
  role = aws_iam_role.instance.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "ReadWhereTheDatabaseIs"
          Effect   = "Allow"
          Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
          Resource = [local._made.secrets]
        },
        # AWS's policy for the agent lets it read every parameter, those of production too.
        {
          Sid      = "ParametersStaySecret"
          Effect   = "Deny"
          Action   = ["ssm:GetParameter*"]
          Resource = ["*"]
        },
        # RDS marks a password that it keeps with the instance that it belongs to.
        {
          Sid       = "ReadItsPassword"
          Effect    = "Allow"
          Action    = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
          Resource  = ["arn:aws:secretsmanager:${var.region}:${var.account_id}:secret:rds!db-*"]
          Condition = { ArnLike = { "aws:ResourceTag/aws:rds:primaryDBInstanceArn" = local._made.databases } }
        },
      ],
      length(var.database.kms_key_arns) == 0 ? [] : [{
        Sid       = "DecryptThroughSecretsManagerOnly"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = var.database.kms_key_arns
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      }],
    )
  })
}

resource "aws_iam_instance_profile" "this" {
  name = "${var.name}-drill-instance"
  role = aws_iam_role.instance.name
}

# What whoever restores (modules/recovery-roles) needs beyond that: only for what bears a drill's name or mark.
resource "aws_iam_policy" "operator" {
  count = var.operator_role_name == null ? 0 : 1

  name        = "${var.name}-drills"
  description = "Carries drills of ${var.name} out and clears them away"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AskInstancesOfDrills"
        Effect    = "Allow"
        Action    = ["ssm:SendCommand"]
        Resource  = ["arn:aws:ec2:${var.region}:${var.account_id}:instance/*"]
        Condition = { Null = { "ssm:resourceTag/lifeboat:drill" = "false" } }
      },
      {
        Sid      = "KeepSecretsOfDrills"
        Effect   = "Allow"
        Action   = ["secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:TagResource"]
        Resource = [local._made.secrets]
      },
      {
        Sid       = "LaunchAsADrill"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [aws_iam_role.instance.arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }
      },
      {
        Sid      = "RemoveCopiesOfTheState"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObjectTagging", "s3:PutObjectTagging"]
        Resource = ["arn:aws:s3:::${var.name}-tfstate-${var.account_id}-${var.region}/runs/*/drill.tfstate"]
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "operator" {
  count = var.operator_role_name == null ? 0 : 1

  role       = var.operator_role_name
  policy_arn = aws_iam_policy.operator[0].arn
}
