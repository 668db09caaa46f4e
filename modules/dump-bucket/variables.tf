variable "name" {
  description = "Application and environment in one word; every name here begins with it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must begin with a letter and hold only a-z, 0-9 and inner hyphens, for example \"app-local\"."
  }

  validation {
    # S3 allows 63 characters; what follows the name is "-dumps-", the account, "-" and the longer region.
    condition     = length(var.name) + 20 + max(length(var.region), length(var.dr_region)) <= 63
    error_message = "name is too long: a bucket name may have 63 characters, so name may have ${43 - max(length(var.region), length(var.dr_region))} in these regions. Shorten it."
  }
}

variable "environment" {
  description = "Environment the dumps come from; shown in descriptions."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account that owns the dumps."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account, for example \"123456789012\"."
  }
}

variable "region" {
  description = "Region of provider aws: the bucket and its key."
  type        = string
  nullable    = false
}

variable "dr_region" {
  description = "Region of provider aws.dr: the replica bucket and its key."
  type        = string
  nullable    = false

  validation {
    condition     = var.dr_region != var.region
    error_message = "dr_region must differ from region: a replica in the same region is lost together with the original."
  }
}

variable "objectives" {
  description = "What a recovery must meet, in hours: data lost (RPO) and time taken (RTO)."
  type = object({
    rpo_hours = optional(number, 24)
    rto_hours = optional(number, 4)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.objectives.rpo_hours > 0 && var.objectives.rto_hours > 0
    error_message = "objectives.rpo_hours and objectives.rto_hours must be more than 0."
  }
}

variable "every_hours" {
  description = "Hours between two dumps, once something makes them on a schedule; null as long as nothing does: a bucket alone protects nothing."
  type        = number
  default     = null

  validation {
    condition     = var.every_hours == null ? true : var.every_hours > 0 && var.every_hours <= var.objectives.rpo_hours
    error_message = "every_hours must be more than 0 and at most objectives.rpo_hours (${var.objectives.rpo_hours}): dump more often, or accept the loss of more data."
  }
}

variable "prefix" {
  description = "Where in the bucket dumps lie; the writer may put there and nowhere else."
  type        = string
  default     = "dumps/"
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9][a-zA-Z0-9_-]*/)+$", var.prefix))
    error_message = "prefix must be a plain path that ends in \"/\" and begins without one, for example \"dumps/\"."
  }

  validation {
    condition     = !startswith(var.prefix, "evidence/")
    error_message = "prefix must not begin with \"evidence/\": what recoveries proved lies there, and rules for dumps would expire it. Take \"dumps/\"."
  }
}

variable "retention" {
  description = "Days after which a dump expires that lifeboat tagged as daily (current_days), weekly, monthly or yearly: the back-stop for when it is run no more. Superseded versions outlive daily ones, so an overwrite can be undone."
  type = object({
    current_days                 = optional(number, 35)
    weekly_days                  = optional(number, 120)
    monthly_days                 = optional(number, 400)
    yearly_days                  = optional(number, 1200)
    superseded_days              = optional(number, 90)
    infrequent_access_after_days = optional(number)
    abort_multipart_days         = optional(number, 7)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for days in values(var.retention) : days == null ? true : days >= 1 && floor(days) == days])
    error_message = "Each value of retention must be a whole number of days, at least 1."
  }

  validation {
    # A dump may take two days, and all of its uploads stay open until it is whole.
    condition     = var.retention.abort_multipart_days >= 3
    error_message = "retention.abort_multipart_days must be at least 3: S3 would abort the uploads of a dump that is still made."
  }

  validation {
    condition     = var.retention.current_days >= 30
    error_message = "retention.current_days must be at least 30: damage to data is often found weeks later."
  }

  validation {
    condition     = var.retention.superseded_days >= var.retention.current_days
    error_message = "retention.superseded_days must be at least retention.current_days (${var.retention.current_days})."
  }

  validation {
    condition     = var.retention.current_days <= var.retention.weekly_days && var.retention.weekly_days <= var.retention.monthly_days && var.retention.monthly_days <= var.retention.yearly_days
    error_message = "retention must not keep a longer tier for fewer days: current_days, weekly_days, monthly_days and yearly_days must not fall."
  }

  validation {
    condition     = var.retention.current_days >= var.object_lock.days
    error_message = "retention.current_days must be at least object_lock.days (${var.object_lock.days}): S3 hides a locked dump on expiry but keeps charging for it."
  }

  validation {
    # S3 moves nothing to infrequent access before day 30 and charges at least 30 days there.
    condition     = var.retention.infrequent_access_after_days == null ? true : var.retention.infrequent_access_after_days >= 30 && var.retention.infrequent_access_after_days + 30 <= var.retention.current_days
    error_message = "retention.infrequent_access_after_days must be at least 30 and at least 30 less than retention.current_days (${var.retention.current_days}); leave it out to keep dumps in the standard class."
  }
}

variable "object_lock" {
  description = "Days a new dump can be deleted by nobody. GOVERNANCE yields to break-glass; COMPLIANCE to nobody, and wants the bucket's name typed into confirm."
  type = object({
    mode    = optional(string, "GOVERNANCE")
    days    = optional(number, 7)
    confirm = optional(string, "")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock.mode)
    error_message = "object_lock.mode must be \"GOVERNANCE\" or \"COMPLIANCE\"."
  }

  validation {
    condition     = var.object_lock.days >= 1 && floor(var.object_lock.days) == var.object_lock.days
    error_message = "object_lock.days must be a whole number of at least 1."
  }

  validation {
    # With the rule that a dump is kept as long as it is locked, this also keeps retention above the RPO.
    condition     = var.object_lock.days * 24 >= var.objectives.rpo_hours
    error_message = "object_lock.days must cover objectives.rpo_hours, so that one locked dump always exists: set at least ${ceil(var.objectives.rpo_hours / 24)} days."
  }

  validation {
    condition     = var.object_lock.mode != "COMPLIANCE" || var.object_lock.confirm == "${var.name}-dumps-${var.account_id}-${var.region}"
    error_message = "COMPLIANCE cannot be undone: not even the account's root user can delete a dump or shorten its lock. If you want that, set object_lock.confirm = \"${var.name}-dumps-${var.account_id}-${var.region}\"; if not, use GOVERNANCE."
  }

  validation {
    condition     = var.object_lock.mode != "COMPLIANCE" || !var.teardown
    error_message = "object_lock.mode must be GOVERNANCE where teardown is true: a bucket under COMPLIANCE cannot be emptied."
  }
}

variable "break_glass_role_arns" {
  description = "Roles besides <name>-break-glass that may delete versions, pass the lock, or weaken the buckets."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.break_glass_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "break_glass_role_arns must be whole role ARNs without wildcards, for example \"arn:aws:iam::123456789012:role/administrator\"."
  }
}

variable "teardown" {
  description = "True in an environment that may be thrown away: the buckets empty themselves and their keys may be deleted."
  type        = bool
  default     = false
  nullable    = false
}
