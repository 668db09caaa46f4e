locals {
  dns_name = var.dns == null ? null : "${var.dns.record_name}.${var.dns.zone_name}"

  # What the daily snapshots and the monthly images are chosen by.
  _protect = { "lifeboat:protect" = "daily" }

  # Secrets Manager adds six characters of its own to the name.
  _app_secret_arn = "arn:aws:secretsmanager:${var.region}:${var.account_id}:secret:${var.app_secret_name}-??????"

  _user_data = join("", [
    templatefile("${path.module}/templates/user_data.sh.tftpl", {
      application     = var.name
      region          = var.region
      app_image       = var.instance.app_image
      app_port        = var.instance.app_port
      app_secret_name = var.app_secret_name
    }),
    var.heartbeat == null ? local._no_heartbeat : templatefile("${path.module}/templates/heartbeat.sh.tftpl", {
      script        = file("${path.module}/files/heartbeat.sh")
      every_seconds = var.heartbeat.every_seconds
      keep_days     = var.heartbeat.keep_days
    }),
  ])

  # A recovery image may bring it from a time when it was wanted.
  _no_heartbeat = "systemctl disable --now lifeboat-heartbeat.service >/dev/null 2>&1 || true\n"
}

resource "aws_iam_role" "this" {
  name        = "${var.name}-app"
  description = "The application's instance of ${var.name}"

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
  role       = aws_iam_role.this.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

# The rights to images in ECR come with the instance, so that they are there before the first pull.
resource "aws_iam_role_policy_attachment" "ecr" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
}

# Exists only once the database does; the instance starts at the same time as the database and retries until then.
resource "aws_iam_role_policy" "secrets" {
  name = "read-database-secrets"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "ReadConnectionAndPassword"
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = concat([local._app_secret_arn], var.database_secrets.secret_arns)
      }],
      length(var.database_secrets.kms_key_arns) == 0 ? [] : [{
        Sid       = "DecryptThroughSecretsManagerOnly"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = var.database_secrets.kms_key_arns
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      }],
    )
  })
}

resource "aws_iam_instance_profile" "this" {
  name = "${var.name}-app"
  role = aws_iam_role.this.name
}

resource "aws_security_group" "this" {
  name        = "${var.name}-app"
  description = "The application of ${var.name}: its own port in, named ports out, no port 22"
  vpc_id      = var.network.vpc_id

  tags = { Name = "${var.name}-app" }
}

resource "aws_vpc_security_group_ingress_rule" "app" {
  # checkov:skip=CKV_AWS_260:A public application answers everybody; narrow network.ingress_cidrs where it does not.
  for_each = var.network.ingress_cidrs

  security_group_id = aws_security_group.this.id
  description       = "The application"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = var.instance.app_port
  to_port           = var.instance.app_port

  tags = { Name = "${var.name}-app-in" }
}

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each = toset([for port in var.instance.egress_ports : tostring(port)])

  security_group_id = aws_security_group.this.id
  description       = "Calls out on port ${each.key}"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)

  tags = { Name = "${var.name}-app-out-${each.key}" }
}

# A new image or a new start script means a new instance: built first, given the address, then the old one goes.
resource "aws_instance" "this" {
  # checkov:skip=CKV_AWS_126:Basic monitoring is enough for one instance whose health is asked over HTTP.
  ami                    = var.ami_id
  instance_type          = var.instance.type
  subnet_id              = var.network.subnet_id
  vpc_security_group_ids = [aws_security_group.this.id]
  iam_instance_profile   = aws_iam_instance_profile.this.name
  ebs_optimized          = true

  user_data                   = local._user_data
  user_data_replace_on_change = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
    # 2: the container reads the database's password itself, since RDS rotates it.
    http_put_response_hop_limit = 2
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = var.instance.volume_gb

    tags = merge(local._protect, { Name = "${var.name}-app" })
  }

  # The vault's copy of the whole host, which not even who may delete snapshots can delete.
  tags = merge(local._protect, { Name = "${var.name}-app", "lifeboat:backup" = "plan" })

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_iam_role_policy_attachment.ssm, aws_iam_role_policy_attachment.ecr]
}

resource "aws_eip" "this" {
  domain = "vpc"

  tags = { Name = "${var.name}-app" }
}

resource "aws_eip_association" "this" {
  allocation_id       = aws_eip.this.id
  instance_id         = aws_instance.this.id
  allow_reassociation = true

  # The address moves in one step; taking it away first would leave the application without one in between.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_zone" "this" {
  # checkov:skip=CKV2_AWS_38:DNSSEC is set up with the registrar, where the parent zone is known.
  # checkov:skip=CKV2_AWS_39:Query logs are no part of recovery.
  count = var.dns == null ? 0 : var.dns.create_zone ? 1 : 0

  name          = var.dns.zone_name
  comment       = "${var.name}: public name of the application"
  force_destroy = var.teardown
}

resource "aws_route53_record" "app" {
  count = var.dns == null ? 0 : 1

  zone_id = var.dns.create_zone ? one(aws_route53_zone.this[*].zone_id) : var.dns.zone_id
  name    = local.dns_name
  type    = "A"
  ttl     = var.dns.ttl
  records = [aws_eip.this.public_ip]
}
