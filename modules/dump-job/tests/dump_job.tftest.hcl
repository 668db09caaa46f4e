mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/app-test-dump" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:app-test-dump-not-run" }
  }

  mock_resource "aws_ecs_cluster" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/app-test-dump" }
  }

  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/app-test-dump:1" }
  }

  mock_resource "aws_security_group" {
    defaults = { id = "sg-000000000000job00" }
  }
}

variables {
  name        = "app-test"
  environment = "test"
  account_id  = "123456789012"
  region      = "eu-west-1"
  task        = { image = "lifeboat:1" }

  network = {
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = ["subnet-0123456789abcdef0"]
  }

  database = {
    security_group_id    = "sg-0123456789abcdef0"
    password_secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-abcdef"]
    kms_key_arns         = ["arn:aws:kms:eu-west-1:123456789012:key/database"]
  }

  log_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/dumps"

  policies = {
    writer = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"AddDumps\"}]}"
    state  = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"ReadState\"}]}"
  }
}

run "a_dump_is_made_once_a_day_at_a_fixed_time" {
  command = plan

  assert {
    condition     = aws_scheduler_schedule.this.schedule_expression == "cron(30 1 * * ? *)" && aws_scheduler_schedule.this.schedule_expression_timezone == "UTC"
    error_message = "Dumps are made at ${aws_scheduler_schedule.this.schedule_expression}."
  }

  assert {
    condition     = aws_scheduler_schedule.this.flexible_time_window[0].mode == "OFF"
    error_message = "A dump may start whenever AWS likes."
  }
}

run "the_hours_of_the_day_follow_from_one_of_them" {
  command = plan

  variables {
    every_hours = 6
    schedule    = { at = "20:05" }
  }

  assert {
    condition     = aws_scheduler_schedule.this.schedule_expression == "cron(5 2,8,14,20 * * ? *)"
    error_message = "Dumps are made at ${aws_scheduler_schedule.this.schedule_expression}."
  }
}

run "a_cron_that_is_frequent_enough_is_taken_as_it_is" {
  command = plan

  variables {
    every_hours = 12
    schedule    = { cron = "cron(0 2,8,14 * * ? *)" }
  }

  assert {
    condition     = aws_scheduler_schedule.this.schedule_expression == "cron(0 2,8,14 * * ? *)"
    error_message = "Dumps are made at ${aws_scheduler_schedule.this.schedule_expression}."
  }
}

run "what_could_not_be_run_is_tried_again_and_then_kept" {
  command = plan

  assert {
    condition = (
      aws_scheduler_schedule.this.target[0].dead_letter_config[0].arn == "arn:aws:sqs:eu-west-1:123456789012:app-test-dump-not-run" &&
      aws_scheduler_schedule.this.target[0].retry_policy[0].maximum_retry_attempts == 10 &&
      aws_scheduler_schedule.this.target[0].retry_policy[0].maximum_event_age_in_seconds == 3600
    )
    error_message = "A run that fails to start is lost at once, or unheard."
  }

  assert {
    condition     = aws_sqs_queue.not_run.sqs_managed_sse_enabled && aws_sqs_queue.not_run.message_retention_seconds == 1209600
    error_message = "What could not be run is not kept, or lies open."
  }
}

run "the_task_is_the_command_in_a_container_that_cannot_be_changed" {
  command = plan

  variables {
    task = { image = "lifeboat:1", cpu = 1024, memory = 4096, arguments = ["--schema", "public"], secrets = { HOOK_TOKEN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hook-abcdef" } }
  }

  assert {
    condition = (
      jsonencode(jsondecode(aws_ecs_task_definition.this.container_definitions)[0].command) == jsonencode(["dump", "-e", "test", "--schema", "public"]) &&
      jsondecode(aws_ecs_task_definition.this.container_definitions)[0].readonlyRootFilesystem == true &&
      jsondecode(aws_ecs_task_definition.this.container_definitions)[0].stopTimeout == 120
    )
    error_message = "The container runs something else, may be written to, or is killed while it takes back its uploads."
  }

  assert {
    condition     = aws_ecs_task_definition.this.network_mode == "awsvpc" && aws_ecs_task_definition.this.cpu == "1024" && aws_ecs_task_definition.this.memory == "4096"
    error_message = "The task has another size or network."
  }

  assert {
    condition = jsonencode(jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets) == jsonencode([
      { name = "HOOK_TOKEN", valueFrom = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hook-abcdef" },
    ])
    error_message = "A secret is not given by its ARN."
  }

  assert {
    condition     = toset([for one in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : one.name]) == toset(["AWS_DEFAULT_REGION", "HOME", "TMPDIR"])
    error_message = "The container is told more than where it is."
  }

  assert {
    condition     = contains(jsondecode(aws_iam_role_policy.start.policy).Statement[*].Sid, "ReadSecretsOfTheContainer")
    error_message = "The secrets cannot be read when the task starts."
  }
}

run "its_output_is_encrypted_and_kept_for_a_time" {
  command = plan

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 365 && aws_cloudwatch_log_group.this.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/dumps"
    error_message = "The log is not encrypted, or kept for ever."
  }
}

run "nothing_comes_in_and_only_postgresql_and_tls_go_out" {
  command = plan

  assert {
    condition = (
      aws_vpc_security_group_egress_rule.database.referenced_security_group_id == "sg-0123456789abcdef0" &&
      aws_vpc_security_group_egress_rule.database.from_port == 5432 && aws_vpc_security_group_egress_rule.database.to_port == 5432 &&
      aws_vpc_security_group_egress_rule.aws.from_port == 443 && aws_vpc_security_group_egress_rule.aws.to_port == 443
    )
    error_message = "The job may call out elsewhere."
  }

  assert {
    condition     = aws_scheduler_schedule.this.target[0].ecs_parameters[0].network_configuration[0].assign_public_ip == false
    error_message = "The task has a public address that nobody asked for."
  }
}

run "the_task_reads_the_password_and_adds_dumps_and_nothing_else" {
  command = plan

  assert {
    condition     = aws_iam_role_policy.given["writer"].policy == var.policies.writer && aws_iam_role_policy.given["state"].policy == var.policies.state
    error_message = "The task cannot add dumps, or not read the state."
  }

  assert {
    condition = flatten([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Action]) == [
      "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "kms:Decrypt", "cloudwatch:PutMetricData",
    ]
    error_message = "The task may do ${jsonencode(flatten([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Action]))}."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.task.policy).Statement[0].Resource == ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-abcdef"]
    error_message = "The task reads other secrets."
  }
}

run "by_iam_it_signs_in_as_one_user_of_the_named_instances" {
  command = plan

  variables {
    database = {
      security_group_id = "sg-0123456789abcdef0"
      sign_in           = "iam"
      user              = "lifeboat_dump"
      resource_ids      = ["db-ABCDEFGHIJKL"]
    }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.task.policy).Statement[0].Resource == ["arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKL/lifeboat_dump"]
    error_message = "The task signs in as ${jsonencode(jsondecode(aws_iam_role_policy.task.policy).Statement[0].Resource)}."
  }
}

run "the_schedule_runs_this_family_in_this_cluster_and_nothing_else" {
  command = plan

  assert {
    condition = (
      jsondecode(aws_iam_role_policy.schedule.policy).Statement[0].Resource == ["arn:aws:ecs:eu-west-1:123456789012:task-definition/app-test-dump:*"] &&
      jsondecode(aws_iam_role_policy.schedule.policy).Statement[0].Condition.ArnEquals["ecs:cluster"] == "arn:aws:ecs:eu-west-1:123456789012:cluster/app-test-dump" &&
      jsondecode(aws_iam_role_policy.schedule.policy).Statement[1].Condition.StringEquals["iam:PassedToService"] == "ecs-tasks.amazonaws.com"
    )
    error_message = "The schedule may run other tasks, or hand its roles to others."
  }

  assert {
    condition     = alltrue([for role in [aws_iam_role.start, aws_iam_role.task, aws_iam_role.schedule] : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"])
    error_message = "A role can be taken on behalf of another account."
  }
}

run "other_jobs_run_their_command_by_their_own_clock_and_role" {
  command = plan

  variables {
    schedule = {
      jobs = {
        status = { command = ["status", "--publish"], cron = "cron(17 * * * ? *)" }
        verify = { command = ["verify", "--sample", "1/7"], cron = "cron(10 4 * * ? *)", role_arn = "arn:aws:iam::123456789012:role/app-test-verifier" }
      }
    }
    policies = {
      writer = "{\"Statement\":[{\"Sid\":\"AddDumps\"}]}"
      state  = "{\"Statement\":[{\"Sid\":\"ReadState\"}]}"
      look   = "{\"Statement\":[{\"Sid\":\"Look\"}]}"
    }
  }

  assert {
    condition = (
      jsonencode(jsondecode(aws_ecs_task_definition.jobs["status"].container_definitions)[0].command) == jsonencode(["status", "--publish", "-e", "test"]) &&
      jsondecode(aws_ecs_task_definition.jobs["status"].container_definitions)[0].readonlyRootFilesystem == true &&
      jsondecode(aws_ecs_task_definition.jobs["verify"].container_definitions)[0].logConfiguration.options.awslogs-stream-prefix == "verify" &&
      jsonencode(jsondecode(aws_ecs_task_definition.this.container_definitions)[0].command) == jsonencode(["dump", "-e", "test"])
    )
    error_message = "A job runs another command, or not as the dump does."
  }

  assert {
    condition = (
      aws_ecs_task_definition.jobs["status"].task_role_arn == aws_iam_role.task.arn &&
      aws_ecs_task_definition.jobs["verify"].task_role_arn == "arn:aws:iam::123456789012:role/app-test-verifier"
    )
    error_message = "A job works with another role."
  }

  assert {
    condition = (
      aws_scheduler_schedule.jobs["status"].schedule_expression == "cron(17 * * * ? *)" &&
      aws_scheduler_schedule.jobs["verify"].target[0].dead_letter_config[0].arn == "arn:aws:sqs:eu-west-1:123456789012:app-test-dump-not-run" &&
      jsonencode(output.families) == jsonencode({ dump = "app-test-dump", status = "app-test-status", verify = "app-test-verify" })
    )
    error_message = "A job runs at another time, is lost when it cannot be run, or is called otherwise."
  }

  assert {
    condition = (
      jsondecode(aws_iam_role_policy.schedule.policy).Statement[0].Resource == [for name in ["dump", "status", "verify"] : "arn:aws:ecs:eu-west-1:123456789012:task-definition/app-test-${name}:*"] &&
      contains(jsondecode(aws_iam_role_policy.schedule.policy).Statement[1].Resource, "arn:aws:iam::123456789012:role/app-test-verifier")
    )
    error_message = "The schedule may run something else, or cannot hand over a job's role."
  }

  assert {
    condition     = keys(aws_iam_role_policy.given) == ["look", "state", "writer"]
    error_message = "The job may do something else."
  }
}

run "without_other_jobs_there_is_the_dump_alone" {
  command = plan

  assert {
    condition     = length(aws_scheduler_schedule.jobs) == 0 && length(aws_ecs_task_definition.jobs) == 0 && keys(aws_iam_role_policy.given) == ["state", "writer"]
    error_message = "Something else runs."
  }
}

run "refuses_a_job_that_is_called_dump" {
  command = plan

  variables {
    schedule = { jobs = { dump = { command = ["status"], cron = "cron(17 * * * ? *)" } } }
  }

  expect_failures = [var.schedule]
}

run "refuses_a_job_with_a_cron_of_five_fields" {
  command = plan

  variables {
    schedule = { jobs = { status = { command = ["status"], cron = "cron(17 * * * ?)" } } }
  }

  expect_failures = [var.schedule]
}

run "refuses_dumps_rarer_than_the_rpo" {
  command = plan

  variables {
    objectives  = { rpo_hours = 6 }
    every_hours = 12
  }

  expect_failures = [var.every_hours]
}

run "refuses_hours_that_do_not_divide_the_day" {
  command = plan

  variables {
    every_hours = 5
  }

  expect_failures = [var.every_hours]
}

run "refuses_a_cron_of_working_days_against_a_daily_rpo" {
  command = plan

  variables {
    schedule = { cron = "cron(30 1 ? * MON-FRI *)" }
  }

  expect_failures = [aws_scheduler_schedule.this]
}

run "refuses_a_cron_with_a_pause_that_is_too_long" {
  command = plan

  variables {
    every_hours = 12
    schedule    = { cron = "cron(0 1,10 * * ? *)" }
  }

  expect_failures = [aws_scheduler_schedule.this]
}

run "refuses_a_cron_of_five_fields" {
  command = plan

  variables {
    schedule = { cron = "cron(30 1 * * *)" }
  }

  expect_failures = [var.schedule]
}

run "refuses_a_size_that_fargate_does_not_have" {
  command = plan

  variables {
    task = { image = "lifeboat:1", cpu = 256, memory = 4096 }
  }

  expect_failures = [var.task]
}

run "refuses_a_secret_by_its_value" {
  command = plan

  variables {
    task = { image = "lifeboat:1", secrets = { PGPASSWORD = "hunter2" } }
  }

  expect_failures = [var.task]
}

run "refuses_to_sign_in_by_iam_as_anybody" {
  command = plan

  variables {
    database = { security_group_id = "sg-0123456789abcdef0", sign_in = "iam" }
  }

  expect_failures = [var.database]
}

run "refuses_a_policy_that_is_none" {
  command = plan

  variables {
    policies = { writer = "s3:PutObject", state = "{\"Statement\":[]}" }
  }

  expect_failures = [var.policies]
}
