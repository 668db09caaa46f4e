# Defaults of nested options live in the modules; an option left out here is null and takes the module's default.

variable "name" {
  description = "Prefix of every name: application and environment, such as app-production."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,24}$", var.name)) && !can(regex("--|-$", var.name))
    error_message = "name must be 2 to 25 characters: a lower-case letter, then lower-case letters, digits and single hyphens, not ending in one."
  }
}

variable "environment" {
  description = "Environment that this stack is, such as production."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.environment))
    error_message = "environment must start with a lower-case letter and hold only lower-case letters, digits and hyphens."
  }
}

variable "account_id" {
  description = "The only AWS account that this stack may be applied to."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account."
  }
}

variable "region" {
  description = "Region where the application runs."
  type        = string
  nullable    = false
}

variable "dr_region" {
  description = "Region that holds the second copy of everything."
  type        = string
  nullable    = false

  validation {
    condition     = var.dr_region != var.region
    error_message = "dr_region must be another region than region (${var.region}): a copy in the same region is lost with it."
  }
}

variable "objectives" {
  description = "Hours of data (rpo_hours) and of service (rto_hours) that a disaster may cost. Every module refuses a schedule or retention that cannot meet them."
  type = object({
    rpo_hours = optional(number, 24)
    rto_hours = optional(number, 4)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.objectives.rpo_hours > 0 && var.objectives.rto_hours > 0
    error_message = "objectives.rpo_hours and objectives.rto_hours must be above 0."
  }
}

variable "network" {
  description = "The network, and who may reach the application. availability_zones are letters of the region's zones."
  type = object({
    cidr               = optional(string)
    availability_zones = optional(list(string), ["a", "b"])
    ingress_cidrs      = optional(set(string))
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for zone in var.network.availability_zones : can(regex("^[a-z]$", zone))])
    error_message = "network.availability_zones must be single letters, such as [\"a\", \"b\"]: the region is put before them."
  }
}

variable "database" {
  description = "The PostgreSQL instance, and its automated backups (windows are UTC). Options and defaults: modules/database."
  type = object({
    instance = optional(object({
      class            = optional(string)
      allocated_gb     = optional(number)
      max_allocated_gb = optional(number)
      engine_version   = optional(string)
      db_name          = optional(string)
      username         = optional(string)
      port             = optional(number)
      multi_az         = optional(bool)
    }), {})
    backup = optional(object({
      retention_days     = optional(number)
      dr_retention_days  = optional(number)
      backup_window      = optional(string)
      maintenance_window = optional(string)
      gap_minutes        = optional(number)
    }), {})
  })
  default  = {}
  nullable = false
}

variable "database_generations" {
  description = "The database instances that exist, by generation; a recovery adds the next one with restored = true. Options: modules/database."
  type = map(object({
    restored = optional(bool, false)
    retiring = optional(bool, false)
    dr_copy  = optional(bool, true)
  }))
  default  = { g1 = {} }
  nullable = false
}

variable "active_generation" {
  description = "The database generation that serves the application."
  type        = string
  default     = "g1"
  nullable    = false
}

variable "instance" {
  description = "The application's instance and the container that it runs. Options and defaults: modules/app-instance."
  type = object({
    type         = optional(string)
    volume_gb    = optional(number)
    app_image    = string
    app_port     = optional(number)
    egress_ports = optional(set(number))
  })
  nullable = false
}

variable "heartbeat" {
  description = "Rows in the application's database from which a restore tells what it lost. Null: none. Options and defaults: modules/app-instance."
  type = object({
    every_seconds = optional(number)
    keep_days     = optional(number)
  })
  default = {}
}

variable "ami_id" {
  description = "Image that the instance is launched from; a recovery sets it to the recovery image."
  type        = string
  nullable    = false
}

variable "dns" {
  description = "Public name of the application: create_zone = true, or the zone_id of a zone that exists. Null: the address only."
  type = object({
    zone_name   = string
    record_name = optional(string)
    ttl         = optional(number)
    create_zone = optional(bool)
    zone_id     = optional(string)
  })
  default = null
}

variable "dumps" {
  description = <<-EOT
    Dumps of the database: how often one is made, how long it is kept and locked (modules/dump-bucket), and the job that makes
    them from an image of this project (modules/dump-job). Without job.image there is no job, and LB_DUMP_3 asks who makes
    them. Options and defaults are the modules'.
  EOT
  type = object({
    every_hours = optional(number)
    prefix      = optional(string)
    retention = optional(object({
      current_days                 = optional(number)
      weekly_days                  = optional(number)
      monthly_days                 = optional(number)
      yearly_days                  = optional(number)
      superseded_days              = optional(number)
      infrequent_access_after_days = optional(number)
      abort_multipart_days         = optional(number)
    }), {})
    object_lock = optional(object({
      mode    = optional(string)
      days    = optional(number)
      confirm = optional(string)
    }), {})
    job = optional(object({
      image     = optional(string)
      cpu       = optional(number)
      memory    = optional(number)
      arguments = optional(list(string))
      secrets   = optional(map(string))
      log_days  = optional(number)
      schedule = optional(object({
        at   = optional(string)
        cron = optional(string)
      }), {})
    }), {})
  })
  default  = {}
  nullable = false
}

variable "schedules" {
  description = <<-EOT
    When the dump job's image does what else must be done, UTC, as cron expressions of EventBridge Scheduler; null: never.
    status writes the ages that alarms ring on, verify proves a seventh of the dumps, retention marks dumps to go. A drill
    needs drills to be enabled, and is followed by a daily sweep, half a day later: the drill's hour is best a number.
  EOT
  type = object({
    status    = optional(string, "cron(17 * * * ? *)")
    verify    = optional(string, "cron(10 4 * * ? *)")
    retention = optional(string, "cron(40 5 * * ? *)")
    drill     = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.schedules.drill == null || var.drill.enabled
    error_message = "schedules.drill needs drill = { enabled = true }: without a network for drills every one of them would be refused."
  }

  validation {
    condition     = var.schedules.drill == null ? true : can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", var.schedules.drill))
    error_message = "schedules.drill must be a cron of six fields, for example \"cron(15 2 ? * SUN *)\"."
  }
}

variable "backup" {
  description = <<-EOT
    Copies besides the database's own: snapshots of volumes and images of the instance (modules/ebs-lifecycle), backups in
    locked vaults and restores that prove them (modules/backup-plan). Options and defaults are the modules'.
  EOT
  type = object({
    snapshots = optional(object({
      resource_type = optional(string)
      schedules = optional(map(object({
        every_hours          = optional(number)
        at                   = optional(string)
        cron                 = optional(string)
        keep_days            = optional(number)
        keep_count           = optional(number)
        deprecate_after_days = optional(number)
        copy = optional(object({
          region      = optional(string)
          encrypted   = optional(bool)
          kms_key_arn = optional(string)
          keep_days   = optional(number)
        }))
      })))
    }))
    images = optional(object({
      resource_type = optional(string)
      reboot        = optional(bool)
      schedules = optional(map(object({
        every_hours          = optional(number)
        at                   = optional(string)
        cron                 = optional(string)
        keep_days            = optional(number)
        keep_count           = optional(number)
        deprecate_after_days = optional(number)
        copy = optional(object({
          region      = optional(string)
          encrypted   = optional(bool)
          kms_key_arn = optional(string)
          keep_days   = optional(number)
        }))
      })))
    }))
    rules = optional(map(object({
      schedule                  = string
      start_window_minutes      = optional(number)
      completion_window_minutes = optional(number)
      delete_after_days         = optional(number)
      cold_storage_after_days   = optional(number)
      continuous                = optional(bool)
      copy = optional(object({
        delete_after_days       = optional(number)
        cold_storage_after_days = optional(number)
      }))
    })))
    lock = optional(object({
      mode                = optional(string)
      min_days            = optional(number)
      max_days            = optional(number)
      changeable_for_days = optional(number)
      confirm             = optional(string)
    }))
    restore_testing = optional(object({
      schedule           = optional(string)
      start_window_hours = optional(number)
      newest_within_days = optional(number)
    }), {})
  })
  default  = {}
  nullable = false
}

variable "alarms" {
  description = "Who is told, and what is too old or too long. Options and defaults: modules/backup-alarms."
  type = object({
    subscribers = optional(set(string))
    limits = optional(object({
      database_hours        = optional(number)
      instance_volume_hours = optional(number)
      vault_hours           = optional(number)
      dumps_hours           = optional(number)
      state_hours           = optional(number)
      image_days            = optional(number)
      drill_days            = optional(number)
      proof_days            = optional(number)
      image_proof_days      = optional(number)
      job_hours             = optional(number)
    }))
    database_free_gb = optional(number)
  })
  default  = {}
  nullable = false
}

variable "roles" {
  description = "Who may take each recovery role, as ARNs of roles or users; none means whoever in the account IAM allows to. Options: modules/recovery-roles."
  type = object({
    writer           = optional(set(string))
    writer_services  = optional(set(string))
    verifier         = optional(set(string))
    retention        = optional(set(string))
    restore_operator = optional(set(string))
    break_glass      = optional(set(string))
  })
  default  = {}
  nullable = false
}

variable "ci" {
  description = "The GitLab project whose pipelines may plan and apply this stack without a stored key. Null: none. Options: modules/ci-identity."
  type = object({
    gitlab = object({
      url           = string
      project_path  = string
      branch        = optional(string)
      plan_branches = optional(set(string))
      audience      = optional(string)
    })
    oidc_provider_arn = optional(string)
    apply_policy_arns = optional(set(string))
  })
  default = null
}

variable "drill" {
  description = "The network that drills restore into; without it a drill is refused. Options and defaults: modules/drill-network. max_usd is what a scheduled drill may be expected to cost, in US dollars."
  type = object({
    enabled      = optional(bool, false)
    cidr         = optional(string)
    client_cidrs = optional(set(string))
    endpoints    = optional(set(string))
    max_usd      = optional(number, 10)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.drill.max_usd > 0
    error_message = "drill.max_usd must be above 0: a drill that may cost nothing is never carried out."
  }
}

variable "break_glass_role_arns" {
  description = "Roles besides <name>-break-glass that may weaken what protects the copies; name whoever applies this root."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "teardown" {
  description = "Set only for an environment about to be thrown away: deletion protection off, buckets and vaults emptied on destroy."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !(var.teardown && var.environment == "production")
    error_message = "teardown is refused for production: what protects its data stays on. Set teardown = false."
  }
}

variable "s3_use_path_style" {
  description = "Address buckets by path; needed where the endpoint is a plain address."
  type        = bool
  default     = false
  nullable    = false
}

variable "provider_max_retries" {
  description = "How often the provider asks again after a failed call. Its own default of 25 can hide an outage for many minutes."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.provider_max_retries >= 0 && var.provider_max_retries <= 25
    error_message = "provider_max_retries must be between 0 and 25."
  }
}

variable "offline" {
  description = "Plan without any call to AWS, for review of an environment whose credentials are elsewhere. Never apply with it."
  type        = bool
  default     = false
  nullable    = false
}
