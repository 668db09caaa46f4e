# Do two RDS windows collide? Both are arcs on the circle of the week's 10,080 minutes. RDS itself says so only in the
# middle of an apply, and the provider not at all: https://github.com/hashicorp/terraform-provider-aws/issues/49828
locals {
  _week = 10080
  _days = { sun = 0, mon = 1, tue = 2, wed = 3, thu = 4, fri = 5, sat = 6 }

  # Both formats are checked by the variable's validations before this is evaluated.
  _b = [for part in regex("^([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})$", var.backup.backup_window) : tonumber(part)]
  _m = [
    for part in regex("^([a-z]{3}):([0-9]{2}):([0-9]{2})-([a-z]{3}):([0-9]{2}):([0-9]{2})$", var.backup.maintenance_window) :
    contains(keys(local._days), part) ? local._days[part] : tonumber(part)
  ]

  _backup_start      = local._b[0] * 60 + local._b[1]
  _backup_end        = local._b[2] * 60 + local._b[3]
  _maintenance_start = local._m[0] * 1440 + local._m[1] * 60 + local._m[2]
  _maintenance_end   = local._m[3] * 1440 + local._m[4] * 60 + local._m[5]

  backup_minutes      = (local._backup_end - local._backup_start + 1440) % 1440
  maintenance_minutes = (local._maintenance_end - local._maintenance_start + local._week) % local._week

  # Minutes from the end of one window to the start of the other, over all backups of a week; below 0 they overlap.
  _clear_minutes = flatten([
    for day in range(7) : [
      (local._maintenance_start - local._backup_start - day * 1440 + 2 * local._week) % local._week - local.backup_minutes,
      (local._backup_start + day * 1440 - local._maintenance_start + 2 * local._week) % local._week - local.maintenance_minutes,
    ]
  ])

  clear_minutes = min(local._clear_minutes...)
}
