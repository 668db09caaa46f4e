# The smallest root that touches the local cloud through the real provider.
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

resource "aws_sns_topic" "alarms" {
  name = "rehearsed-alarms"
}

resource "aws_cloudwatch_metric_alarm" "stale" {
  alarm_name          = "rehearsed-stale"
  namespace           = "Lifeboat"
  metric_name         = "BackupAgeSeconds"
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 86400
  period              = 3600
  evaluation_periods  = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
}
