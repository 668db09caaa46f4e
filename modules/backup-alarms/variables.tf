variable "name" {
  description = "Application and environment in one word; every name here begins with it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must begin with a letter and hold only a-z, 0-9 and inner hyphens, for example \"app-local\"."
  }

  validation {
    # EventBridge: rule names up to 64 characters, and the longest that follows is "-bucket-protection-changed".
    condition     = length(var.name) <= 38
    error_message = "name may have 38 characters: the name of an event rule has 64 at most. Shorten it."
  }
}

variable "environment" {
  description = "Environment that is watched; shown in messages."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account that is watched."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account, for example \"123456789012\"."
  }
}

variable "region" {
  description = "Region of provider aws: alarms, rules and the topic."
  type        = string
  nullable    = false
}

variable "dr_region" {
  description = "Region of provider aws.dr: rules and a topic of its own, so that it is heard when the other region is down."
  type        = string
  nullable    = false

  validation {
    condition     = var.dr_region != var.region
    error_message = "dr_region must differ from region: both would ring and fall silent together."
  }
}

variable "objectives" {
  description = "What a recovery must meet, in hours: data lost (RPO) and time taken (RTO). The age at which a copy is too old follows from it."
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

variable "watch" {
  description = <<-EOT
    What is watched. databases: identifiers by generation. vaults: names in both regions. kms_key_arns and dr_kms_key_arns:
    keys without which a copy cannot be read, by a name of yours. buckets and dr_buckets: names of the buckets that hold
    copies. replications: S3 copies, by a name of yours. database_storage: what is little. dump_job: the
    job of modules/dump-job, where there is one, and the families of its other jobs. Maps, because their values are known only after the first apply.
  EOT
  type = object({
    databases        = map(string)
    vaults           = object({ primary = string, dr = string })
    backup_plan_ids  = map(string)
    dlm_policy_ids   = map(string)
    kms_key_arns     = map(string)
    dr_kms_key_arns  = map(string)
    buckets          = map(string)
    dr_buckets       = map(string)
    replications     = optional(map(object({ source_bucket = string, destination_bucket = string, rule_id = string })), {})
    database_storage = optional(object({ free_gb = optional(number, 2) }), {})
    dump_job         = optional(object({ cluster_arn = string, family = string, not_run_queue = string, other_families = optional(list(string), []) }))
  })
  nullable = false

  validation {
    condition = alltrue([
      for values in [var.watch.databases, var.watch.backup_plan_ids, var.watch.dlm_policy_ids, var.watch.kms_key_arns, var.watch.dr_kms_key_arns, var.watch.buckets, var.watch.dr_buckets] :
      length(values) > 0
    ])
    error_message = "watch must name at least one database, backup plan, DLM policy, key and bucket in each region: an event rule with an empty list never rings."
  }

  validation {
    condition     = var.watch.database_storage.free_gb > 0
    error_message = "watch.database_storage.free_gb must be above 0: a database without free storage stops, and its backups with it."
  }
}

variable "limits" {
  description = <<-EOT
    What is too old or too long. Left out: database, instance_volume, vault, dumps and state are too old after objectives.rpo_hours;
    vault and instance_volume mean AWS Backup and DLM; an image is too old after 32 days (they are monthly), a drill after
    92; the last proof of a copy of the database or a dump is too old after 31 days, that of an image after 92; a job has run
    unusually long after 4 hours.
  EOT
  type = object({
    database_hours        = optional(number)
    instance_volume_hours = optional(number)
    vault_hours           = optional(number)
    dumps_hours           = optional(number)
    state_hours           = optional(number)
    image_days            = optional(number, 32)
    drill_days            = optional(number, 92)
    proof_days            = optional(number, 31)
    image_proof_days      = optional(number, 92)
    job_hours             = optional(number, 4)
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for hours in [var.limits.database_hours, var.limits.instance_volume_hours, var.limits.vault_hours, var.limits.dumps_hours, var.limits.state_hours] :
      hours == null ? true : hours > 0 && hours <= var.objectives.rpo_hours
    ])
    error_message = "limits: the *_hours of copies must be above 0 and at most ${var.objectives.rpo_hours} (objectives.rpo_hours): an alarm that rings after the objective is missed comes too late."
  }

  validation {
    condition     = min(var.limits.image_days, var.limits.drill_days, var.limits.proof_days, var.limits.image_proof_days) > 0
    error_message = "limits.image_days, drill_days, proof_days and image_proof_days must be above 0."
  }

  validation {
    # CloudWatch looks back one day at most with hourly values.
    condition     = var.limits.job_hours >= 1 && var.limits.job_hours <= 24 && floor(var.limits.job_hours) == var.limits.job_hours
    error_message = "limits.job_hours must be a whole number from 1 to 24."
  }
}

variable "subscribers" {
  description = "E-mail addresses that are told, from both regions. Each must confirm once, by the link in the first mail."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.subscribers : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "subscribers must be e-mail addresses, for example \"on-call@example.com\"."
  }

  validation {
    condition     = var.environment != "production" || length(var.subscribers) > 0
    error_message = "subscribers must name at least one address in production: an alarm nobody hears is no alarm."
  }
}
