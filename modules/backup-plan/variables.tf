variable "name" {
  description = "Application and environment in one word; every name here begins with it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must begin with a letter and hold only a-z, 0-9 and inner hyphens, for example \"app-local\"."
  }

  validation {
    # AWS Backup: vault names up to 50 characters, and "-backups-dr" follows the name.
    condition     = length(var.name) <= 39
    error_message = "name may have 39 characters: a vault name has 50 at most and ends in \"-backups-dr\". Shorten it."
  }
}

variable "environment" {
  description = "Environment that the backups belong to; shown in descriptions."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account that owns the backups."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account, for example \"123456789012\"."
  }
}

variable "region" {
  description = "Region of provider aws: the plan, its vault and its key."
  type        = string
  nullable    = false
}

variable "dr_region" {
  description = "Region of provider aws.dr: the vault of the copies and its key."
  type        = string
  nullable    = false

  validation {
    condition     = var.dr_region != var.region
    error_message = "dr_region must differ from region: a copy in the same region is lost together with the original."
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
    condition     = var.objectives.rpo_hours >= 1 && var.objectives.rto_hours > 0
    error_message = "objectives.rpo_hours must be at least 1 and rto_hours more than 0: AWS Backup starts a job every hour at most. For less, use point-in-time recovery."
  }
}

variable "rules" {
  description = <<-EOT
    When a backup is taken and how long it is kept, by rule name; every backup is copied to the DR vault and kept there
    as long as copy says (left out: as long as the original). Schedules are cron in UTC.
    continuous = true hands the database's own retention and window over to AWS Backup: not for a database whose module sets them.
  EOT
  type = map(object({
    schedule                  = string
    start_window_minutes      = optional(number, 60)
    completion_window_minutes = optional(number, 480)
    delete_after_days         = optional(number)
    cold_storage_after_days   = optional(number)
    continuous                = optional(bool, false)
    copy = optional(object({
      delete_after_days       = optional(number)
      cold_storage_after_days = optional(number)
    }), {})
  }))
  default = {
    daily   = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35 }
    monthly = { schedule = "cron(0 7 1 * ? *)", delete_after_days = 365 }
  }
  nullable = false

  validation {
    condition     = length(var.rules) > 0 && alltrue([for name, rule in var.rules : can(regex("^[a-zA-Z0-9._-]{1,50}$", name))])
    error_message = "rules must hold at least one rule, named with up to 50 letters, digits, dots, hyphens and underscores."
  }

  validation {
    condition     = alltrue([for rule in var.rules : can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", rule.schedule))])
    error_message = "rules ${join(", ", [for name, rule in var.rules : name if !can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", rule.schedule))])}: schedule must be a cron of six fields, for example \"cron(0 5 * * ? *)\"; AWS Backup knows no rate() and no words."
  }

  validation {
    condition     = alltrue([for rule in var.rules : rule.start_window_minutes >= 60])
    error_message = "rules ${join(", ", [for name, rule in var.rules : name if rule.start_window_minutes < 60])}: start_window_minutes must be at least 60: AWS Backup may start a job that late."
  }

  validation {
    condition     = alltrue([for rule in var.rules : rule.completion_window_minutes >= rule.start_window_minutes + 60])
    error_message = "rules ${join(", ", [for name, rule in var.rules : name if rule.completion_window_minutes < rule.start_window_minutes + 60])}: completion_window_minutes must be at least 60 more than start_window_minutes, else a job that starts late is cancelled."
  }

  validation {
    condition     = alltrue([for rule in var.rules : rule.delete_after_days != null || rule.continuous])
    error_message = "rules ${join(", ", [for name, rule in var.rules : name if rule.delete_after_days == null && !rule.continuous])}: nothing says how long backups are kept. Set delete_after_days."
  }

  validation {
    condition     = alltrue([for rule in var.rules : rule.continuous ? coalesce(rule.delete_after_days, 0) >= 1 && coalesce(rule.delete_after_days, 0) <= 35 : true])
    error_message = "rules ${join(", ", [for name, rule in var.rules : name if rule.continuous && !(coalesce(rule.delete_after_days, 0) >= 1 && coalesce(rule.delete_after_days, 0) <= 35)])}: a continuous backup is kept 1 to 35 days. Set delete_after_days accordingly, and a second rule for longer."
  }

  validation {
    condition     = alltrue([for rule in var.rules : !rule.continuous || rule.cold_storage_after_days == null])
    error_message = "rules ${join(", ", [for name, rule in var.rules : name if rule.continuous && rule.cold_storage_after_days != null])}: a continuous backup cannot go to cold storage. Take cold_storage_after_days out."
  }

  validation {
    condition = alltrue(flatten([
      for rule in var.rules : [
        for days in [rule.cold_storage_after_days, rule.copy.cold_storage_after_days] : days == null ? true : days >= 30
      ]
    ]))
    error_message = "rules: cold_storage_after_days must be at least 30, for the backup and for its copy: what a drill or a recovery needs soon must not take hours to thaw."
  }

  validation {
    condition = alltrue([
      for rule in var.rules : rule.cold_storage_after_days == null ? true : coalesce(rule.delete_after_days, 0) >= rule.cold_storage_after_days + 90
    ])
    error_message = "rules: delete_after_days must be at least cold_storage_after_days + 90, because AWS keeps (and bills) cold backups for 90 days. Raise the one or take the other out."
  }

  validation {
    condition = alltrue([
      for rule in var.rules : rule.copy.cold_storage_after_days == null ? true :
      coalesce(rule.copy.delete_after_days, rule.delete_after_days, 0) >= rule.copy.cold_storage_after_days + 90
    ])
    error_message = "rules: copy.delete_after_days must be at least copy.cold_storage_after_days + 90, because AWS keeps (and bills) cold backups for 90 days. Raise the one or take the other out."
  }
}

variable "selection" {
  description = "What is backed up: resources by ARN (with a name of yours for each), and whatever carries all of the tags."
  type = object({
    arns = optional(map(string), {})
    tags = optional(map(string), { "lifeboat:backup" = "plan" })
  })
  default  = {}
  nullable = false

  validation {
    condition     = length(var.selection.arns) + length(var.selection.tags) > 0
    error_message = "selection must name at least one ARN or tag: AWS Backup takes an empty selection for every resource of the account."
  }

  validation {
    condition     = alltrue([for arn in values(var.selection.arns) : can(regex("^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[^*]+$", arn))])
    error_message = "selection.arns must be whole ARNs without \"*\": a wildcard takes resources nobody thought of. Use selection.tags to choose several."
  }
}

variable "lock" {
  description = <<-EOT
    Lock of both vaults: no backup is kept shorter than min_days or longer than max_days, whatever a rule says.
    "governance" can be lifted by whoever may do so in IAM. "compliance" can be lifted by nobody, not even AWS, once
    changeable_for_days have passed; it is set only if confirm is the name of the primary vault, "<name>-backups".
  EOT
  type = object({
    mode                = optional(string, "governance")
    min_days            = optional(number, 7)
    max_days            = optional(number, 400)
    changeable_for_days = optional(number)
    confirm             = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["governance", "compliance"], var.lock.mode)
    error_message = "lock.mode must be \"governance\" or \"compliance\"."
  }

  validation {
    condition     = var.lock.min_days >= 1 && var.lock.max_days <= 36500 && var.lock.min_days <= var.lock.max_days
    error_message = "lock.min_days (${var.lock.min_days}) must be at least 1 and not above lock.max_days (${var.lock.max_days}), which may be 36500: otherwise no backup at all is accepted."
  }

  validation {
    condition = alltrue([
      for rule in var.rules : rule.delete_after_days == null ? true : rule.delete_after_days >= var.lock.min_days && rule.delete_after_days <= var.lock.max_days
    ])
    error_message = "rules ${join(", ", [for name, rule in var.rules : name if rule.delete_after_days == null ? false : rule.delete_after_days < var.lock.min_days || rule.delete_after_days > var.lock.max_days])}: delete_after_days must lie between lock.min_days (${var.lock.min_days}) and lock.max_days (${var.lock.max_days}); the locked vault makes the job fail otherwise."
  }

  validation {
    condition = alltrue([
      for rule in var.rules : rule.copy.delete_after_days == null ? true : rule.copy.delete_after_days >= var.lock.min_days && rule.copy.delete_after_days <= var.lock.max_days
    ])
    error_message = "rules ${join(", ", [for name, rule in var.rules : name if rule.copy.delete_after_days == null ? false : rule.copy.delete_after_days < var.lock.min_days || rule.copy.delete_after_days > var.lock.max_days])}: copy.delete_after_days must lie between lock.min_days (${var.lock.min_days}) and lock.max_days (${var.lock.max_days}); the locked vault in the DR region makes the copy fail otherwise."
  }

  validation {
    condition     = var.lock.mode != "compliance" || coalesce(var.lock.confirm, "-") == "${var.name}-backups"
    error_message = "lock.mode = \"compliance\" cannot be undone by anybody, ever. If that is meant, set lock.confirm = \"${var.name}-backups\"; if not, set lock.mode = \"governance\"."
  }

  validation {
    condition     = var.lock.mode != "compliance" || coalesce(var.lock.changeable_for_days, 0) >= 3 && coalesce(var.lock.changeable_for_days, 0) <= 36500
    error_message = "lock.changeable_for_days must be 3 to 36500 with lock.mode = \"compliance\": the days in which the lock can still be taken back."
  }

  validation {
    condition     = var.lock.mode != "governance" || var.lock.changeable_for_days == null
    error_message = "lock.changeable_for_days turns a lock into compliance for good. Take it out, or say lock.mode = \"compliance\" and confirm it."
  }

  validation {
    condition     = var.lock.mode != "compliance" || !var.teardown
    error_message = "lock.mode = \"compliance\" and teardown contradict each other: nobody can empty such a vault. Set lock.mode = \"governance\"."
  }
}

variable "restore_testing" {
  description = <<-EOT
    Restores that AWS Backup does by itself to prove the backups, then deletes. A selection names a resource type, what of
    it (arns; left out: all of that type in the vault), and metadata that AWS Backup guesses wrong outside a default VPC: RDS
    needs "dbSubnetGroupName", EC2 "subnetId". What is restored stays validation_hours for somebody to look at.
  EOT
  type = object({
    schedule           = optional(string, "cron(0 9 ? * SUN *)")
    start_window_hours = optional(number, 4)
    newest_within_days = optional(number, 7)
    selections = map(object({
      resource_type      = string
      arns               = optional(map(string), {})
      metadata_overrides = map(string)
      validation_hours   = optional(number, 4)
    }))
  })
  nullable = false

  validation {
    condition     = length(var.restore_testing.selections) > 0
    error_message = "restore_testing.selections must name at least one resource type: a backup that was never restored is a hope."
  }

  validation {
    condition     = alltrue([for selection in var.restore_testing.selections : contains(["EBS", "EC2", "RDS", "S3"], selection.resource_type)])
    error_message = "restore_testing.selections: resource_type must be \"EBS\", \"EC2\", \"RDS\" or \"S3\"."
  }

  validation {
    condition = alltrue([
      for selection in var.restore_testing.selections :
      length(setsubtract(lookup({ RDS = ["dbsubnetgroupname"], EC2 = ["subnetid"] }, selection.resource_type, []), [for key in keys(selection.metadata_overrides) : lower(key)])) == 0
    ])
    error_message = "restore_testing.selections: metadata_overrides must have \"dbSubnetGroupName\" for RDS and \"subnetId\" for EC2; without it AWS Backup restores into the default VPC and fails where there is none."
  }

  validation {
    condition     = alltrue([for name, selection in var.restore_testing.selections : can(regex("^[a-zA-Z0-9_-]{1,50}$", name)) && selection.validation_hours >= 0 && selection.validation_hours <= 168])
    error_message = "restore_testing.selections must be named with up to 50 letters, digits, hyphens and underscores, and validation_hours be 0 to 168."
  }

  validation {
    condition     = can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", var.restore_testing.schedule))
    error_message = "restore_testing.schedule must be a cron of six fields, for example \"cron(0 9 ? * SUN *)\"."
  }

  validation {
    condition     = var.restore_testing.start_window_hours >= 1 && var.restore_testing.start_window_hours <= 168 && var.restore_testing.newest_within_days >= 1 && var.restore_testing.newest_within_days <= 365
    error_message = "restore_testing.start_window_hours must be 1 to 168 and newest_within_days 1 to 365."
  }
}

variable "break_glass_role_arns" {
  description = "Roles besides <name>-break-glass that may delete backups or weaken the vaults; name the administrator who applies this module."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "teardown" {
  description = "Set only for an environment about to be thrown away: the vaults are emptied on destroy, and their guards may be taken away."
  type        = bool
  default     = false
  nullable    = false
}
