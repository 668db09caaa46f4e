# One of each kind of alarm, rule and schedule, in the forms that no module of ours has too.
terraform {
  required_version = ">= 1.11.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

resource "aws_cloudwatch_metric_alarm" "plain" {
  alarm_name          = "watched-plain"
  namespace           = "Watched"
  metric_name         = "Age"
  dimensions          = { Kind = "dumps", Name = "watched" }
  statistic           = "Minimum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0.5
  period              = 3600
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "breaching"
  unit                = "Seconds"
}

resource "aws_cloudwatch_metric_alarm" "least" {
  alarm_name          = "watched-least"
  namespace           = "Watched"
  metric_name         = "Count"
  extended_statistic  = "p90"
  comparison_operator = "LessThanOrEqualToThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 1
}

resource "aws_cloudwatch_metric_alarm" "calculated" {
  alarm_name          = "watched-calculated"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 10
  evaluation_periods  = 1

  metric_query {
    id          = "rate"
    expression  = "errors / 60"
    return_data = true
  }

  metric_query {
    id = "errors"

    metric {
      namespace   = "Watched"
      metric_name = "Errors"
      dimensions  = { Kind = "dumps" }
      period      = 60
      stat        = "Sum"
    }
  }
}

resource "aws_cloudwatch_composite_alarm" "of_alarms" {
  alarm_name = "watched-of-alarms"
  alarm_rule = <<-RULE
    ALARM(${aws_cloudwatch_metric_alarm.plain.alarm_name})
    OR ALARM(${aws_cloudwatch_metric_alarm.least.alarm_name})
  RULE
}

resource "aws_cloudwatch_event_rule" "of_events" {
  name = "watched-of-events"

  event_pattern = jsonencode({
    source        = ["aws.ecs", "lifeboat.test"]
    "detail-type" = ["ECS Task State Change"]
    detail = {
      lastStatus = ["STOPPED"]
      containers = { exitCode = [{ "anything-but" = [0] }] }
    }
  })
}

resource "aws_cloudwatch_event_rule" "of_time" {
  name                = "watched-of-time"
  schedule_expression = "rate(1 day)"
}

resource "aws_iam_role" "schedule" {
  name = "watched"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "scheduler.amazonaws.com" } }]
  })
}

resource "aws_sqs_queue" "told" {
  name = "watched"
}

resource "aws_scheduler_schedule" "least" {
  name                = "watched-least"
  schedule_expression = "cron(15 3 * * ? *)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sqs_queue.told.arn
    role_arn = aws_iam_role.schedule.arn
  }
}

resource "aws_scheduler_schedule" "whole" {
  name                         = "watched-whole"
  schedule_expression          = "rate(12 hours)"
  schedule_expression_timezone = "Europe/Dublin"
  state                        = "DISABLED"
  start_date                   = "2098-01-01T01:00:00Z"
  end_date                     = "2099-01-01T01:00:00Z"

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }

  target {
    arn      = aws_sqs_queue.told.arn
    role_arn = aws_iam_role.schedule.arn
  }
}
