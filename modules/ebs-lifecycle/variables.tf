variable "name" {
  description = "Application and environment in one word; every name here begins with it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must begin with a letter and hold only a-z, 0-9 and inner hyphens, for example \"app-local\"."
  }
}

variable "environment" {
  description = "Environment that the copies belong to; shown in descriptions."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account that owns the copies."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account, for example \"123456789012\"."
  }
}

variable "region" {
  description = "Region of provider aws: the instances, their snapshots and images."
  type        = string
  nullable    = false
}

variable "dr_region" {
  description = "Region of provider aws.dr: the copies and their key."
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
    error_message = "objectives.rpo_hours must be at least 1 and rto_hours more than 0: DLM takes a snapshot every hour at most. For less, replicate the data instead."
  }
}

variable "target_tags" {
  description = "Tags that choose what is copied: an instance or volume with any one of them is."
  type        = map(string)
  default     = { "lifeboat:protect" = "daily" }
  nullable    = false

  validation {
    condition     = length(var.target_tags) > 0 && alltrue([for key, value in var.target_tags : trimspace(key) != "" && !startswith(key, "aws:")])
    error_message = "target_tags must name at least one tag, without \"aws:\" in front: a policy without tags copies nothing."
  }
}

variable "snapshots" {
  description = <<-EOT
    Snapshots of the volumes, every schedule copied to the DR region. resource_type "INSTANCE" takes all volumes of an
    instance at the same moment, "VOLUME" each tagged volume by itself.
    A schedule runs every_hours from `at` (UTC), or by cron; keeps keep_days or keep_count; its copy is kept copy.keep_days.
    A schedule's name is in its snapshots: renaming it leaves them unmanaged.
  EOT
  type = object({
    resource_type = optional(string, "INSTANCE")
    schedules = optional(map(object({
      every_hours          = optional(number)
      at                   = optional(string, "03:00")
      cron                 = optional(string)
      keep_days            = optional(number)
      keep_count           = optional(number)
      deprecate_after_days = optional(number)
      copy = optional(object({
        region      = optional(string)
        encrypted   = optional(bool, true)
        kms_key_arn = optional(string)
        keep_days   = optional(number, 14)
      }), {})
      })), {
      daily = { every_hours = 24, keep_days = 14 }
    })
  })
  default  = {}
  nullable = false
}

variable "images" {
  description = <<-EOT
    Images of the instances, every schedule copied to the DR region; the options are those of snapshots.
    reboot = true stops the instance for a consistent image; without it the image is what a power cut would leave.
  EOT
  type = object({
    resource_type = optional(string, "INSTANCE")
    reboot        = optional(bool, false)
    schedules = optional(map(object({
      every_hours          = optional(number)
      at                   = optional(string, "04:00")
      cron                 = optional(string)
      keep_days            = optional(number)
      keep_count           = optional(number)
      deprecate_after_days = optional(number)
      copy = optional(object({
        region      = optional(string)
        encrypted   = optional(bool, true)
        kms_key_arn = optional(string)
        keep_days   = optional(number, 95)
      }), {})
      })), {
      monthly = { cron = "cron(0 4 1 * ? *)", keep_days = 190, deprecate_after_days = 95 }
    })
  })
  default  = {}
  nullable = false
}

variable "source_kms_key_arns" {
  description = "Customer keys that the volumes are encrypted with in region; empty when they use the region's own key (alias/aws/ebs)."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "break_glass_role_arns" {
  description = "Roles besides <name>-break-glass that may disable or delete the key of the copies; name the administrator who applies this module."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "teardown" {
  description = "Set only for an environment about to be thrown away: anyone with the right in IAM may then delete the key of the copies."
  type        = bool
  default     = false
  nullable    = false
}
