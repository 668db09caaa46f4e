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
}

variable "restore_testing" {
  description = <<-EOT
    Restores that AWS Backup does by itself to prove the backups, then deletes. A selection names a resource type, what of
    it (arns, empty: all of that type), and metadata that AWS Backup cannot guess: RDS needs "dbSubnetGroupName",
    EBS "availabilityZone", EC2 "subnetId". The restored thing stays validation_hours for somebody to look at.
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
