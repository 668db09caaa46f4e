# Snapshots of the volumes and images of the instances, made by DLM and copied to the DR region under a key that lives there.

locals {
  # Conditions compare names, so the role need not exist yet.
  break_glass = sort(setunion(var.break_glass_role_arns, ["arn:aws:iam::${var.account_id}:role/${var.name}-break-glass"]))

  _asked = {
    snapshots = {
      type          = "EBS_SNAPSHOT_MANAGEMENT"
      resource_type = var.snapshots.resource_type
      parameters    = [] # exclude_boot_volume stays off: the boot volume is what a recovery starts from
      schedules     = var.snapshots.schedules
    }
    images = {
      type          = "IMAGE_MANAGEMENT"
      resource_type = var.images.resource_type
      parameters    = [{ no_reboot = !var.images.reboot }]
      schedules     = var.images.schedules
    }
  }

  # The longest time between two runs. A cron is taken at its worst: Monday to Friday counts as weekly, two days of a month as monthly.
  _cron_fields = {
    for what, asked in local._asked : what => {
      for name, schedule in asked.schedules : name => concat(
        split(" ", trimsuffix(trimprefix(coalesce(schedule.cron, "cron(0 0 * * ? *)"), "cron("), ")")),
        ["", "", "", "", "", ""], # so that a cron with fields missing is refused below, not here
      )
    }
  }
  _cron_hours = {
    for what, crons in local._cron_fields : what => {
      for name, field in crons : name => (
        field[3] != "*" ? 8784 :
        !contains(["*", "?"], field[2]) ? 744 :
        !contains(["*", "?"], field[4]) ? 168 :
        field[1] == "*" ? 1 :
        can(regex("^[0*]/[0-9]+$", field[1])) ? tonumber(split("/", field[1])[1]) : 24
      )
    }
  }

  policies = {
    for what, asked in local._asked : what => merge(asked, {
      schedules = {
        for name, schedule in asked.schedules : name => merge(schedule, {
          gap_hours = schedule.every_hours != null ? schedule.every_hours : local._cron_hours[what][name]
          copy = merge(schedule.copy, {
            region      = coalesce(schedule.copy.region, var.dr_region)
            kms_key_arn = schedule.copy.kms_key_arn == null ? aws_kms_key.copies.arn : schedule.copy.kms_key_arn
            own_key     = schedule.copy.kms_key_arn != null
          })
        })
      }
    })
  }

  protection = flatten([
    for what, policy in local.policies : [
      for name, schedule in policy.schedules : [
        {
          asset       = what == "snapshots" ? "instance volume" : "image"
          mechanism   = what == "snapshots" ? "EBS snapshots (DLM, ${name})" : "Machine images (DLM, ${name})"
          every_hours = schedule.gap_hours
          kept_days   = schedule.keep_days != null ? schedule.keep_days : floor(coalesce(schedule.keep_count, 0) * schedule.gap_hours / 24)
          regions     = [var.region]
        },
        {
          asset       = what == "snapshots" ? "instance volume" : "image"
          mechanism   = what == "snapshots" ? "EBS snapshots copied to the DR region (DLM, ${name})" : "Machine images copied to the DR region (DLM, ${name})"
          every_hours = schedule.gap_hours
          kept_days   = schedule.copy.keep_days
          regions     = [schedule.copy.region]
        },
      ]
    ]
  ])
}

resource "aws_kms_key" "copies" {
  provider = aws.dr

  description             = "Copies of snapshots and images of ${var.name} (${var.environment})"
  deletion_window_in_days = 30
  enable_key_rotation     = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "AccountDecidesByIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      }],
      # Without the key every copy is lost at once.
      var.teardown ? [] : [{
        Sid       = "KeyStays"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = ["kms:DisableKey", "kms:ScheduleKeyDeletion"]
        Resource  = "*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.break_glass } }
      }],
    )
  })
}

resource "aws_kms_alias" "copies" {
  provider = aws.dr

  name          = "alias/${var.name}-ebs-copies"
  target_key_id = aws_kms_key.copies.key_id
}

resource "aws_iam_role" "dlm" {
  name        = "${var.name}-dlm"
  description = "DLM takes and copies snapshots and images of ${var.name} with it"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "dlm.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:aws:dlm:${var.region}:${var.account_id}:policy/*" }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "dlm" {
  for_each = {
    snapshots = "arn:aws:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRole"
    images    = "arn:aws:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRoleForAMIManagement"
  }

  role       = aws_iam_role.dlm.name
  policy_arn = each.value
}

# The managed policies hold no right to any customer key.
resource "aws_iam_role_policy" "keys" {
  name = "keys"
  role = aws_iam_role.dlm.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LetEbsUseTheKeys"
        Effect    = "Allow"
        Action    = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]
        Resource  = local._key_arns
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
      {
        Sid      = "ReadOriginalsAndWriteCopies"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource = local._key_arns
      },
    ]
  })
}

locals {
  _key_arns = concat(
    [aws_kms_key.copies.arn],
    sort(var.source_kms_key_arns),
    distinct(flatten([for asked in local._asked : [for schedule in asked.schedules : schedule.copy.kms_key_arn if schedule.copy.kms_key_arn != null]])),
  )
}

resource "aws_dlm_lifecycle_policy" "this" {
  # checkov:skip=CKV_AWS_255:Encrypted by default; checkov does not see into the dynamic block, LB_DLM_2 does on the plan.
  # checkov:skip=CKV_AWS_256:With the key of this module; checkov does not see into the dynamic block, LB_ENC_1 does on the plan.

  for_each = local.policies

  # DLM allows letters, digits, spaces, hyphens and underscores here.
  description        = "${var.name} ${each.key}"
  execution_role_arn = aws_iam_role.dlm.arn
  state              = "ENABLED"

  policy_details {
    policy_type    = each.value.type
    resource_types = [each.value.resource_type]
    target_tags    = var.target_tags

    dynamic "parameters" {
      for_each = each.value.parameters

      content {
        no_reboot = parameters.value.no_reboot
      }
    }

    dynamic "schedule" {
      for_each = each.value.schedules

      content {
        name      = schedule.key
        copy_tags = true

        create_rule {
          cron_expression = schedule.value.cron
          interval        = schedule.value.every_hours
          interval_unit   = schedule.value.every_hours == null ? null : "HOURS"
          times           = schedule.value.every_hours == null ? null : [schedule.value.at]
        }

        retain_rule {
          count         = schedule.value.keep_count
          interval      = schedule.value.keep_days
          interval_unit = schedule.value.keep_days == null ? null : "DAYS"
        }

        dynamic "deprecate_rule" {
          for_each = schedule.value.deprecate_after_days[*]

          content {
            interval      = deprecate_rule.value
            interval_unit = "DAYS"
          }
        }

        cross_region_copy_rule {
          target    = schedule.value.copy.region
          encrypted = schedule.value.copy.encrypted
          cmk_arn   = schedule.value.copy.kms_key_arn
          copy_tags = true

          retain_rule {
            interval      = schedule.value.copy.keep_days
            interval_unit = "DAYS"
          }
        }
      }
    }
  }

  lifecycle {
    # What the provider and AWS let pass until the policy runs, or fails to.
    precondition {
      condition     = each.value.resource_type == "INSTANCE" || each.key == "snapshots" && each.value.resource_type == "VOLUME"
      error_message = "${each.key}.resource_type is \"${each.value.resource_type}\": images are made of instances, so set \"INSTANCE\"; snapshots may be of an \"INSTANCE\" or a \"VOLUME\"."
    }

    precondition {
      condition     = length(each.value.schedules) >= 1 && length(each.value.schedules) <= 4
      error_message = "${each.key}.schedules has ${length(each.value.schedules)} schedules: a policy needs 1 to 4. Leave schedules out to take the default."
    }

    precondition {
      condition     = length(local._wrong[each.key].no_time) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].no_time)}: nothing says when it runs. Set every_hours or cron."
    }

    precondition {
      condition     = length(local._wrong[each.key].two_times) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].two_times)}: every_hours and cron contradict each other. Keep one of them."
    }

    precondition {
      condition     = length(local._wrong[each.key].bad_time) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].bad_time)}: every_hours must be 1, 2, 3, 4, 6, 8, 12 or 24, `at` a time such as \"03:00\", and cron six fields such as \"cron(0 4 1 * ? *)\"."
    }

    precondition {
      condition     = length(local._wrong[each.key].no_retention) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].no_retention)}: nothing says how long copies are kept. Set keep_days or keep_count."
    }

    precondition {
      condition     = length(local._wrong[each.key].two_retentions) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].two_retentions)}: keep_days and keep_count contradict each other. Keep one of them."
    }

    precondition {
      condition     = length(local._wrong[each.key].too_short) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].too_short)}: an older copy would be gone before the next is sound. keep_days, keep_count and copy.keep_days must span at least two runs."
    }

    precondition {
      condition     = length(local._wrong[each.key].deprecated_snapshot) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].deprecated_snapshot)}: a snapshot cannot be deprecated. Take deprecate_after_days out; only images have it."
    }

    precondition {
      condition     = length(local._wrong[each.key].deprecated_late) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].deprecated_late)}: deprecate_after_days must be at least 1 and shorter than the image is kept."
    }

    precondition {
      condition     = length(local._wrong[each.key].open_copy) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].open_copy)}: the copy is not encrypted. Take copy.encrypted = false out; the module has a key in ${var.dr_region}."
    }

    precondition {
      condition     = length(local._wrong[each.key].nowhere) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].nowhere)}: copy.region must be the name of another region than ${var.region}, such as \"${var.dr_region}\"."
    }

    precondition {
      condition     = length(local._wrong[each.key].foreign_key) == 0
      error_message = "${each.key}.schedules ${join(", ", local._wrong[each.key].foreign_key)}: copy.kms_key_arn must be the ARN of a key in copy.region. For copies in ${var.dr_region} leave it out; the module has a key there."
    }

    precondition {
      condition     = each.key == "images" || anytrue([for schedule in each.value.schedules : schedule.gap_hours <= var.objectives.rpo_hours])
      error_message = "snapshots: no schedule runs every ${var.objectives.rpo_hours} hours (objectives.rpo_hours). Set every_hours = ${max([for hours in [1, 2, 3, 4, 6, 8, 12, 24] : hours if hours <= var.objectives.rpo_hours]...)}."
    }
  }

  depends_on = [aws_iam_role_policy.keys, aws_iam_role_policy_attachment.dlm]
}

locals {
  # Names of the schedules that break a rule, by rule.
  _wrong = {
    for what, policy in local.policies : what => {
      no_time   = [for name, s in policy.schedules : name if s.every_hours == null && s.cron == null]
      two_times = [for name, s in policy.schedules : name if s.every_hours != null && s.cron != null]
      bad_time = [
        for name, s in policy.schedules : name if !(
          contains([1, 2, 3, 4, 6, 8, 12, 24], s.every_hours == null ? 24 : s.every_hours) &&
          can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", s.at)) &&
          can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", s.cron == null ? "cron(0 0 * * ? *)" : s.cron))
        )
      ]
      no_retention   = [for name, s in policy.schedules : name if s.keep_days == null && s.keep_count == null]
      two_retentions = [for name, s in policy.schedules : name if s.keep_days != null && s.keep_count != null]
      too_short = [
        for name, s in policy.schedules : name if !(
          (s.keep_days == null ? true : s.keep_days * 24 >= 2 * s.gap_hours) &&
          (s.keep_count == null ? true : s.keep_count >= 2) &&
          s.copy.keep_days * 24 >= 2 * s.gap_hours
        )
      ]
      deprecated_snapshot = [for name, s in policy.schedules : name if what == "snapshots" && s.deprecate_after_days != null]
      deprecated_late = [
        for name, s in policy.schedules : name if what == "images" && s.deprecate_after_days != null && !(
          coalesce(s.deprecate_after_days, 1) >= 1 &&
          coalesce(s.deprecate_after_days, 1) * 24 < (s.keep_days != null ? s.keep_days * 24 : coalesce(s.keep_count, 0) * s.gap_hours)
        )
      ]
      open_copy = [for name, s in policy.schedules : name if !s.copy.encrypted]
      nowhere   = [for name, s in policy.schedules : name if s.copy.region == var.region || !can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", s.copy.region))]
      foreign_key = [
        for name, s in policy.schedules : name
        if s.copy.own_key ? !can(regex("^arn:[a-z-]+:kms:${s.copy.region}:[0-9]{12}:key/.+$", s.copy.kms_key_arn)) : s.copy.region != var.dr_region
      ]
    }
  }
}
