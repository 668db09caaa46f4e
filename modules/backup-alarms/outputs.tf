output "topic_arn" {
  description = "Topic that every alarm and rule of region tells."
  value       = aws_sns_topic.primary.arn

  depends_on = [aws_sns_topic_policy.primary]
}

output "dr_topic_arn" {
  description = "Topic that every rule of dr_region tells."
  value       = aws_sns_topic.dr.arn

  depends_on = [aws_sns_topic_policy.dr]
}

output "alarm_names" {
  description = "Names of the metric alarms, by slug; the page of a slug is docs/runbooks/alarm-<slug>.md."
  value       = { for slug, alarm in aws_cloudwatch_metric_alarm.this : slug => alarm.alarm_name }
}

output "rule_names" {
  description = "Names of the event rules, by slug, the same in both regions; the page of a slug is docs/runbooks/alarm-<slug>.md."
  value       = { for slug, rule in aws_cloudwatch_event_rule.primary : slug => rule.name }
}

output "pages" {
  description = "Every page that an alarm, rule or subscription of this module points to."
  value       = sort(local.pages)
}

output "freshness_metrics" {
  description = "Metrics that lifeboat writes (age of the newest copy, proof or drill, in seconds) and the age at which each rings, by alarm."
  value = {
    for key, limit in local.freshness : key => {
      namespace   = local.metric_namespace
      metric      = limit.metric
      dimensions  = { Kind = limit.kind, Name = var.name }
      max_seconds = limit.max_seconds
    }
  }
}

output "dashboard_name" {
  description = "Dashboard that shows all of it; dashboards belong to the account, not to a region."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "tester_policy_json" {
  description = "Policy for who runs `lifeboat alarms test`: rings these alarms and rules, listens to these topics in a queue named as a drill's, and changes nothing else."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "LookAtWhatRings"
        Effect = "Allow"
        Action = [
          "backup:GetBackupVaultNotifications",
          "cloudwatch:DescribeAlarmHistory",
          "cloudwatch:DescribeAlarms",
          "events:ListRules",
          "events:ListTargetsByRule",
          "rds:DescribeEventSubscriptions",
          "sns:GetSubscriptionAttributes",
          "sns:GetTopicAttributes",
          "sns:ListSubscriptionsByTopic",
        ]
        Resource = ["*"]
      },
      {
        Sid      = "RingTheAlarms"
        Effect   = "Allow"
        Action   = ["cloudwatch:SetAlarmState"]
        Resource = ["arn:aws:cloudwatch:*:${var.account_id}:alarm:${var.name}-*"]
      },
      {
        Sid       = "MakeUpEvents"
        Effect    = "Allow"
        Action    = ["events:PutEvents"]
        Resource  = [for region in [var.region, var.dr_region] : "arn:aws:events:${region}:${var.account_id}:event-bus/default"]
        Condition = { StringEquals = { "events:source" = local.test_source } }
      },
      {
        Sid       = "ListenInAQueue"
        Effect    = "Allow"
        Action    = ["sns:Subscribe"]
        Resource  = values(local._topic_arns)
        Condition = { StringEquals = { "sns:Protocol" = "sqs" } }
      },
      {
        Sid      = "ListenNoMore"
        Effect   = "Allow"
        Action   = ["sns:Unsubscribe"]
        Resource = flatten([for arn in values(local._topic_arns) : [arn, "${arn}:*"]])
      },
      {
        Sid      = "KeepTheQueueMeanwhile"
        Effect   = "Allow"
        Action   = ["sqs:CreateQueue", "sqs:DeleteMessage", "sqs:DeleteQueue", "sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:TagQueue"]
        Resource = ["arn:aws:sqs:*:${var.account_id}:${var.name}-drill-*"]
      },
    ]
  })
}
