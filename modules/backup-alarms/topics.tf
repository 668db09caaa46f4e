# A topic in each region, so that the DR region is heard when the other one is down.

locals {
  _topic_name = "${var.name}-alarms"
  _regions    = { primary = var.region, dr = var.dr_region }
  _topic_arns = { for place, region in local._regions : place => "arn:aws:sns:${region}:${var.account_id}:${local._topic_name}" }

  # Successful jobs are left out; what carries no State (alarms, event rules, RDS) always passes.
  _filter = jsonencode({ State = [{ exists = false }, { "anything-but" = ["COMPLETED"] }] })

  topic_policies = {
    for place, region in local._regions : place => jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "AlarmsOfThisAccount"
          Effect    = "Allow"
          Principal = { Service = ["cloudwatch.amazonaws.com", "events.rds.amazonaws.com"] }
          Action    = "sns:Publish"
          Resource  = local._topic_arns[place]
          Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
        },
        {
          Sid       = "RulesOfThisApplication"
          Effect    = "Allow"
          Principal = { Service = "events.amazonaws.com" }
          Action    = "sns:Publish"
          Resource  = local._topic_arns[place]
          Condition = { ArnLike = { "aws:SourceArn" = "arn:aws:events:${region}:${var.account_id}:rule/${var.name}-*" } }
        },
        {
          # AWS documents no condition for the notifications of a vault.
          Sid       = "NotificationsOfVaults"
          Effect    = "Allow"
          Principal = { Service = "backup.amazonaws.com" }
          Action    = "sns:Publish"
          Resource  = local._topic_arns[place]
        },
        {
          Sid       = "OnlyOverTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sns:Publish"
          Resource  = local._topic_arns[place]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    })
  }
}

resource "aws_sns_topic" "primary" {
  # checkov:skip=CKV_AWS_26:A disabled key would silence the alarm about disabled keys; messages hold names and ids, no data.
  name         = local._topic_name
  display_name = "Recovery alarms of ${var.name}"
}

resource "aws_sns_topic_policy" "primary" {
  arn    = aws_sns_topic.primary.arn
  policy = local.topic_policies.primary
}

resource "aws_sns_topic_subscription" "primary" {
  for_each = var.subscribers

  topic_arn     = aws_sns_topic.primary.arn
  protocol      = "email"
  endpoint      = each.value
  filter_policy = local._filter
}

resource "aws_sns_topic" "dr" {
  # checkov:skip=CKV_AWS_26:A disabled key would silence the alarm about disabled keys; messages hold names and ids, no data.
  provider = aws.dr

  name         = local._topic_name
  display_name = "Recovery alarms of ${var.name}"
}

resource "aws_sns_topic_policy" "dr" {
  provider = aws.dr

  arn    = aws_sns_topic.dr.arn
  policy = local.topic_policies.dr
}

resource "aws_sns_topic_subscription" "dr" {
  provider = aws.dr
  for_each = var.subscribers

  topic_arn     = aws_sns_topic.dr.arn
  protocol      = "email"
  endpoint      = each.value
  filter_policy = local._filter
}
