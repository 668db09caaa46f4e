# `lifeboat dump` on a schedule: EventBridge Scheduler starts a Fargate task of this project's own image, which ends with it.

locals {
  # Known before anything is made, so that roles and rules can name what is made after them.
  family      = "${var.name}-dump"
  cluster_arn = "arn:aws:ecs:${var.region}:${var.account_id}:cluster/${local.family}"
  family_arn  = "arn:aws:ecs:${var.region}:${var.account_id}:task-definition/${local.family}"
  log_group   = "/lifeboat/${local.family}"

  _log_group_arn = "arn:aws:logs:${var.region}:${var.account_id}:log-group:${local.log_group}"

  # The image declares it as a volume of its own user; everything else in the container is read-only.
  _scratch = "/lifeboat/.lifeboat"

  _hour    = tonumber(split(":", var.schedule.at)[0])
  _minute  = tonumber(split(":", var.schedule.at)[1])
  _hours   = [for number in range(24 / var.every_hours) : local._hour % var.every_hours + number * var.every_hours]
  schedule = var.schedule.cron != null ? var.schedule.cron : "cron(${local._minute} ${join(",", local._hours)} * * ? *)"

  # The longest pause between two runs. A cron is taken at its worst: Monday to Friday counts as weekly.
  _field = split(" ", trimsuffix(trimprefix(local.schedule, "cron("), ")"))
  _list  = sort(formatlist("%02d", [for hour in split(",", local._field[1]) : tonumber(hour) if can(tonumber(hour))]))
  gap_hours = (
    local._field[3] != "*" ? 8784 :
    !contains(["*", "?"], local._field[2]) ? 744 :
    !contains(["*", "?"], local._field[4]) ? 168 :
    local._field[1] == "*" ? 1 :
    can(regex("^[0*]/[0-9]+$", local._field[1])) ? tonumber(split("/", local._field[1])[1]) :
    length(local._list) != length(split(",", local._field[1])) ? 24 :
    max([
      for place, hour in local._list :
      place + 1 < length(local._list) ? tonumber(local._list[place + 1]) - tonumber(hour) : tonumber(local._list[0]) + 24 - tonumber(hour)
    ]...)
  )

  families = merge({ dump = local.family }, { for name in keys(var.schedule.jobs) : name => "${var.name}-${name}" })

  _other_roles = distinct([for name in sort(keys(var.schedule.jobs)) : var.schedule.jobs[name].role_arn if var.schedule.jobs[name].role_arn != null])

  _container = {
    name      = "lifeboat"
    image     = var.task.image
    essential = true

    readonlyRootFilesystem = true
    stopTimeout            = 120 # seconds, the longest on Fargate: a dump that is stopped takes back its uploads
    linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
    mountPoints            = [{ sourceVolume = "scratch", containerPath = local._scratch, readOnly = false }]

    environment = [
      { name = "AWS_DEFAULT_REGION", value = var.region },
      { name = "HOME", value = local._scratch },
      { name = "TMPDIR", value = local._scratch },
    ]
    secrets = [for name in sort(keys(var.task.secrets)) : { name = name, valueFrom = var.task.secrets[name] }]
  }
  _log = {
    for name in keys(local.families) : name => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.region
        awslogs-stream-prefix = name
      }
    }
  }

  _assumed_by = {
    for service in ["ecs-tasks", "scheduler"] : service => {
      Effect    = "Allow"
      Principal = { Service = "${service}.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnLike      = { "aws:SourceArn" = service == "scheduler" ? "arn:aws:scheduler:${var.region}:${var.account_id}:schedule-group/default" : "arn:aws:ecs:${var.region}:${var.account_id}:*" }
      }
    }
  }
}

# -- what runs --------------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "this" {
  name              = local.log_group
  retention_in_days = var.task.log_days
  kms_key_id        = var.log_kms_key_arn
}

resource "aws_ecs_cluster" "this" {
  # checkov:skip=CKV_AWS_65:One task that ends says how it ended; there is nothing for Container Insights to watch.
  name = local.family
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.family
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.task.cpu
  memory                   = var.task.memory
  execution_role_arn       = aws_iam_role.start.arn
  task_role_arn            = aws_iam_role.task.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([merge(local._container, {
    command          = concat(["dump", "-e", var.environment], var.task.arguments)
    logConfiguration = local._log.dump
  })])
}

# A family each: whoever reads why a task ended sees which command it was, and each has its own role.
resource "aws_ecs_task_definition" "jobs" {
  for_each = var.schedule.jobs

  family                   = local.families[each.key]
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.task.cpu
  memory                   = var.task.memory
  execution_role_arn       = aws_iam_role.start.arn
  task_role_arn            = coalesce(each.value.role_arn, aws_iam_role.task.arn)

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = "X86_64"
  }

  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([merge(local._container, {
    command          = concat(each.value.command, ["-e", var.environment])
    logConfiguration = local._log[each.key]
  })])
}

# -- where it runs ----------------------------------------------------------------------------------------------------

resource "aws_security_group" "this" {
  # checkov:skip=CKV2_AWS_5:The tasks that the schedule starts bear it.
  name        = local.family
  description = "The dump job of ${var.name}: nothing in, PostgreSQL and TLS out"
  vpc_id      = var.network.vpc_id

  tags = { Name = local.family }
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL"
  referenced_security_group_id = var.database.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port

  tags = { Name = "${local.family}-out-database" }
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.this.id
  description       = "AWS and the registry"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = { Name = "${local.family}-out-443" }
}

# -- who may do what --------------------------------------------------------------------------------------------------

# Only starts the task: pulls the image, reads the secrets that the container is given, writes its output.
resource "aws_iam_role" "start" {
  name        = "${local.family}-start"
  description = "ECS starts the dump job of ${var.name} with it"

  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [local._assumed_by["ecs-tasks"]] })
}

resource "aws_iam_role_policy" "start" {
  name = "start"
  role = aws_iam_role.start.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "SignInToTheRegistry"
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = ["*"] # the action knows no resources
        },
        {
          Sid      = "PullImages"
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = ["arn:aws:ecr:*:*:repository/*"]
        },
        {
          Sid      = "WriteTheLog"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${local._log_group_arn}:*"]
        },
      ],
      length(var.task.secrets) == 0 ? [] : [{
        Sid      = "ReadSecretsOfTheContainer"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue", "ssm:GetParameters"]
        Resource = sort(values(var.task.secrets))
      }],
    )
  })
}

resource "aws_iam_role" "task" {
  name        = local.family
  description = "The dump job of ${var.name}: reads the database, adds dumps, deletes nothing"

  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [local._assumed_by["ecs-tasks"]] })
}

resource "aws_iam_role_policy" "given" {
  for_each = { for use, policy in var.policies : use => policy if policy != null }

  name   = each.key
  role   = aws_iam_role.task.id
  policy = each.value
}

resource "aws_iam_role_policy" "task" {
  name = "own"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      length(var.database.password_secret_arns) == 0 ? [] : [{
        Sid      = "ReadThePassword"
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = var.database.password_secret_arns
      }],
      length(var.database.kms_key_arns) == 0 ? [] : [{
        Sid       = "DecryptThroughSecretsManagerOnly"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = var.database.kms_key_arns
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      }],
      var.database.sign_in != "iam" ? [] : [{
        Sid      = "SignInByIam"
        Effect   = "Allow"
        Action   = ["rds-db:connect"]
        Resource = [for id in var.database.resource_ids : "arn:aws:rds-db:${var.region}:${var.account_id}:dbuser:${id}/${var.database.user}"]
      }],
      [{
        Sid       = "PublishAges"
        Effect    = "Allow"
        Action    = ["cloudwatch:PutMetricData"]
        Resource  = ["*"] # the action knows no resources
        Condition = { StringEquals = { "cloudwatch:namespace" = "Lifeboat" } }
      }],
    )
  })
}

resource "aws_iam_role" "schedule" {
  name        = "${local.family}-schedule"
  description = "EventBridge Scheduler runs the dump job of ${var.name} with it"

  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [local._assumed_by["scheduler"]] })
}

resource "aws_iam_role_policy" "schedule" {
  name = "run"
  role = aws_iam_role.schedule.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "RunTheJob"
        Effect    = "Allow"
        Action    = ["ecs:RunTask"]
        Resource  = concat(["${local.family_arn}:*"], [for name in sort(keys(var.schedule.jobs)) : "arn:aws:ecs:${var.region}:${var.account_id}:task-definition/${local.families[name]}:*"])
        Condition = { ArnEquals = { "ecs:cluster" = local.cluster_arn } }
      },
      {
        Sid       = "PassItsRoles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = concat([aws_iam_role.start.arn, aws_iam_role.task.arn], local._other_roles)
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid      = "KeepWhatCouldNotBeRun"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.not_run.arn]
      },
    ]
  })
}

# -- when it runs -----------------------------------------------------------------------------------------------------

# A run that could not even be asked for lies here, and rings (dump-job-not-run).
resource "aws_sqs_queue" "not_run" {
  # checkov:skip=CKV2_AWS_73:What lies here names a task and holds no data; a key that is disabled would lose the reason of the failure.
  name                      = "${local.family}-not-run"
  message_retention_seconds = 1209600 # 14 days, the longest
  sqs_managed_sse_enabled   = true
}

resource "aws_scheduler_schedule" "this" {
  # checkov:skip=CKV_AWS_297:What the schedule holds is the name of a task and no secret.
  name                         = local.family
  description                  = "Dumps the database of ${var.name}"
  schedule_expression          = local.schedule
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_ecs_cluster.this.arn
    role_arn = aws_iam_role.schedule.arn

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.this.arn
      launch_type         = "FARGATE"
      task_count          = 1

      network_configuration {
        subnets          = var.network.subnet_ids
        security_groups  = [aws_security_group.this.id]
        assign_public_ip = var.network.assign_public_ip
      }
    }

    # Fargate may have no room for a few minutes; a dump an hour late is better than none.
    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }

    dead_letter_config {
      arn = aws_sqs_queue.not_run.arn
    }
  }

  lifecycle {
    precondition {
      condition     = local.gap_hours <= var.every_hours
      error_message = "schedule.cron (${local.schedule}) leaves up to ${local.gap_hours} hours between two dumps, more than every_hours (${var.every_hours}): run it more often, or raise every_hours within objectives.rpo_hours (${var.objectives.rpo_hours})."
    }
  }

  depends_on = [aws_iam_role_policy.schedule]
}

resource "aws_scheduler_schedule" "jobs" {
  # checkov:skip=CKV_AWS_297:What the schedule holds is the name of a task and no secret.
  for_each = var.schedule.jobs

  name                         = local.families[each.key]
  description                  = "lifeboat ${join(" ", each.value.command)} of ${var.name}"
  schedule_expression          = each.value.cron
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_ecs_cluster.this.arn
    role_arn = aws_iam_role.schedule.arn

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.jobs[each.key].arn
      launch_type         = "FARGATE"
      task_count          = 1

      network_configuration {
        subnets          = var.network.subnet_ids
        security_groups  = [aws_security_group.this.id]
        assign_public_ip = var.network.assign_public_ip
      }
    }

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }

    dead_letter_config {
      arn = aws_sqs_queue.not_run.arn
    }
  }

  depends_on = [aws_iam_role_policy.schedule]
}
