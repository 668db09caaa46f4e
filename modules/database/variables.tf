variable "name" {
  description = "Prefix of every name; a generation's instance is called <name>-<generation>, such as app-production-g1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name)) && !can(regex("--|-$", var.name))
    error_message = "name must be 2 to 31 characters: a lower-case letter, then lower-case letters, digits and single hyphens, not ending in one (RDS refuses other identifiers)."
  }
}

variable "environment" {
  description = "Environment that the database serves, such as production."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account that owns the database; its administrators may use the keys."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account."
  }
}

variable "region" {
  description = "Region of the database."
  type        = string
  nullable    = false
}

variable "dr_region" {
  description = "Region that receives a second copy of the automated backups (the region of provider aws.dr)."
  type        = string
  nullable    = false

  validation {
    condition     = var.dr_region != var.region
    error_message = "dr_region must be another region than region: a copy in the same region is lost with it."
  }
}

variable "objectives" {
  description = "Hours of data (rpo_hours) and of service (rto_hours) that a disaster may cost."
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

variable "generations" {
  description = <<-EOT
    The instances that exist, by generation. Every recovery adds one (g2, g3 …) beside those before it.
    restored: a recovery has already created the instance through the RDS API; Terraform adopts it, never creates it.
    retiring: lift the deletion protection, as the step before the generation is taken out of this map.
    dr_copy: copy its backups to dr_region. A recovery begins that last: AWS takes up to an hour for it.
  EOT
  type = map(object({
    restored = optional(bool, false)
    retiring = optional(bool, false)
    dr_copy  = optional(bool, true)
  }))
  default  = { g1 = {} }
  nullable = false

  validation {
    condition     = length(var.generations) > 0 && alltrue([for name in keys(var.generations) : can(regex("^g[1-9][0-9]{0,3}$", name))])
    error_message = "generations must have at least one entry, each named g1, g2, g3 …"
  }
}

variable "active_generation" {
  description = "The generation that serves the application."
  type        = string
  default     = "g1"
  nullable    = false

  validation {
    condition     = contains(keys(var.generations), var.active_generation)
    error_message = "active_generation is \"${var.active_generation}\", which is not in generations (${join(", ", keys(var.generations))}): name one of them, or add it."
  }

  validation {
    condition     = !try(var.generations[var.active_generation].retiring, false)
    error_message = "active_generation \"${var.active_generation}\" is being retired: make another generation active first."
  }
}

variable "instance" {
  description = "What the instance is. max_allocated_gb lets storage grow by itself up to that size (null: never)."
  type = object({
    class            = optional(string, "db.t4g.small")
    allocated_gb     = optional(number, 20)
    max_allocated_gb = optional(number)
    engine_version   = optional(string, "15")
    db_name          = optional(string, "app")
    username         = optional(string, "app_admin")
    port             = optional(number, 5432)
    multi_az         = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^(1[5-9]|[2-9][0-9])(\\.[0-9]+)?$", var.instance.engine_version))
    error_message = "instance.engine_version must be a PostgreSQL version from 15 on, such as \"15\" or \"16.4\": from 15 on RDS accepts TLS connections only, unless told otherwise."
  }

  validation {
    condition     = var.instance.allocated_gb >= 20 && var.instance.allocated_gb <= 65536
    error_message = "instance.allocated_gb must be between 20 and 65536, the limits of RDS gp3 storage."
  }

  validation {
    condition     = var.instance.max_allocated_gb == null ? true : var.instance.max_allocated_gb >= ceil(var.instance.allocated_gb * 1.1)
    error_message = "instance.max_allocated_gb must be at least 10 % above instance.allocated_gb, or null to switch growth off."
  }

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,62}$", var.instance.db_name)) && can(regex("^[a-z][a-z0-9_]{0,62}$", var.instance.username))
    error_message = "instance.db_name and instance.username must start with a lower-case letter and hold only lower-case letters, digits and underscores (63 at most)."
  }

  validation {
    condition     = !contains(["postgres", "rdsadmin", "admin"], var.instance.username)
    error_message = "instance.username must not be postgres, rdsadmin or admin: RDS reserves them, or everybody guesses them."
  }
}

variable "backup" {
  description = <<-EOT
    Automated backups with point-in-time recovery. Windows are UTC; no backup starts in the maintenance window, nor in
    the hour before it, hence the gap (and keep AWS Backup's schedules away from there too). dr_retention_days is for the copy in dr_region.
  EOT
  type = object({
    retention_days     = optional(number, 7)
    dr_retention_days  = optional(number, 7)
    backup_window      = optional(string, "03:00-04:00")
    maintenance_window = optional(string, "sun:00:30-sun:01:30")
    gap_minutes        = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.backup.retention_days >= 7 && var.backup.retention_days <= 35
    error_message = "backup.retention_days must be between 7 and 35: below 7 a mistake found after a week cannot be undone, and RDS keeps at most 35."
  }

  validation {
    condition     = var.backup.retention_days * 24 >= var.objectives.rpo_hours
    error_message = "backup.retention_days (${var.backup.retention_days} days) is shorter than objectives.rpo_hours (${var.objectives.rpo_hours} h): raise backup.retention_days to at least ${ceil(var.objectives.rpo_hours / 24)}, or lower the objective."
  }

  validation {
    condition     = var.backup.dr_retention_days >= 1 && var.backup.dr_retention_days <= 35 && var.backup.dr_retention_days * 24 >= var.objectives.rpo_hours
    error_message = "backup.dr_retention_days must be between 1 and 35 and cover objectives.rpo_hours (${var.objectives.rpo_hours} h): set it to at least ${ceil(var.objectives.rpo_hours / 24)}."
  }

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$", var.backup.backup_window))
    error_message = "backup.backup_window must look like 03:00-04:00 (UTC), not \"${var.backup.backup_window}\"."
  }

  validation {
    condition     = can(regex("^(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]$", var.backup.maintenance_window))
    error_message = "backup.maintenance_window must look like sun:05:00-sun:06:00 (UTC, lower case), not \"${var.backup.maintenance_window}\"."
  }

  validation {
    condition     = var.backup.gap_minutes >= 0 && var.backup.gap_minutes <= 360
    error_message = "backup.gap_minutes must be between 0 and 360."
  }
}

variable "network" {
  description = "Where the instance stands, and the security groups whose members may connect to it."
  type = object({
    vpc_id                    = string
    subnet_ids                = list(string)
    client_security_group_ids = map(string)
  })
  nullable = false

  validation {
    condition     = length(var.network.subnet_ids) >= 2
    error_message = "network.subnet_ids must name subnets in at least two availability zones: RDS needs them for its subnet group."
  }
}

variable "teardown" {
  description = "Set only for an environment about to be thrown away: no deletion protection, no final snapshot."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !(var.teardown && var.environment == "production")
    error_message = "teardown is refused for production: its database keeps its deletion protection and its final snapshot. Set teardown = false."
  }
}
