variable "name" {
  description = "Prefix of every name, such as app-production."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name must be 2 to 31 characters: a lower-case letter, then lower-case letters, digits and hyphens."
  }
}

variable "environment" {
  description = "Environment that the instance serves, such as production."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account that owns the instance and its secret."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account."
  }
}

variable "region" {
  description = "Region of the instance and of the secret that it reads."
  type        = string
  nullable    = false
}

variable "instance" {
  description = <<-EOT
    What the instance is. app_image is the container that it runs and app_port where that listens.
    egress_ports are the TCP ports on which it may call out: AWS, the registry and the database by default.
  EOT
  type = object({
    type         = optional(string, "t3.small")
    volume_gb    = optional(number, 20)
    app_image    = string
    app_port     = optional(number, 80)
    egress_ports = optional(set(number), [443, 5432])
  })
  nullable = false

  validation {
    condition     = var.instance.volume_gb >= 8 && var.instance.volume_gb <= 16384
    error_message = "instance.volume_gb must be between 8 (the base image needs them) and 16384."
  }

  validation {
    condition     = var.instance.app_port >= 1 && var.instance.app_port <= 65535 && var.instance.app_port != 22
    error_message = "instance.app_port must be a TCP port other than 22: sign in through SSM Session Manager, no port is open for it."
  }

  validation {
    condition     = can(regex("^[a-z0-9][a-zA-Z0-9./:@_-]*$", var.instance.app_image))
    error_message = "instance.app_image must be an image reference such as registry.example.com/app:1, not \"${var.instance.app_image}\": it is handed to a shell."
  }
}

variable "ami_id" {
  description = "Image to launch from: the base image, or after a recovery the recovery image."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "ami_id must be the id of one image, such as ami-0123456789abcdef0, not \"${var.ami_id}\": a name could mean another image tomorrow."
  }
}

variable "network" {
  description = "Where the instance stands and who may reach the application's port."
  type = object({
    vpc_id        = string
    subnet_id     = string
    ingress_cidrs = optional(set(string), ["0.0.0.0/0"])
  })
  nullable = false

  validation {
    condition     = alltrue([for cidr in var.network.ingress_cidrs : can(cidrhost(cidr, 0))])
    error_message = "network.ingress_cidrs must be IPv4 ranges, such as 203.0.113.0/24."
  }
}

variable "app_secret_name" {
  description = "Name of the secret that says where the database is. The instance waits for it, so it may be created later."
  type        = string
  nullable    = false
}

# Apart from app_secret_name on purpose: these exist only after the database, and the instance must not wait for that.
variable "database_secrets" {
  description = "ARNs of the database passwords' secrets that the instance may read, and of the keys that they (and the app secret) are encrypted with."
  type = object({
    secret_arns  = list(string)
    kms_key_arns = optional(list(string), [])
  })
  nullable = false
}

variable "dns" {
  description = "Public name of the application. Either create_zone = true, or zone_id of a zone that exists. Null: no name, only the address."
  type = object({
    zone_name   = string
    record_name = optional(string, "app")
    ttl         = optional(number, 60)
    create_zone = optional(bool, false)
    zone_id     = optional(string)
  })
  default = null

  validation {
    condition     = var.dns == null ? true : var.dns.create_zone == (var.dns.zone_id == null)
    error_message = "dns needs either create_zone = true or the zone_id of a zone that exists, not both and not none."
  }

  validation {
    condition     = var.dns == null ? true : var.dns.ttl >= 1 && var.dns.ttl <= 300
    error_message = "dns.ttl must be between 1 and 300 seconds: clients keep using the lost address for as long."
  }
}

variable "heartbeat" {
  description = <<-EOT
    Rows that the host writes into the application's database (table lifeboat_heartbeat), from which a restore tells what it
    lost: one every every_seconds, each kept keep_days. Null: none.
  EOT
  type = object({
    every_seconds = optional(number, 60)
    keep_days     = optional(number, 7)
  })
  default = {}

  validation {
    condition     = var.heartbeat == null ? true : contains([1, 2, 5, 10, 15, 20, 30, 60, 120, 300], var.heartbeat.every_seconds)
    error_message = "heartbeat.every_seconds must be 1, 2, 5, 10, 15, 20, 30, 60, 120 or 300: what was lost is known no better than that."
  }

  validation {
    condition     = var.heartbeat == null ? true : var.heartbeat.keep_days >= 1 && var.heartbeat.keep_days <= 60 && floor(var.heartbeat.keep_days) == var.heartbeat.keep_days
    error_message = "heartbeat.keep_days must be a whole number from 1 to 60: the table is for the newest rows, not for history."
  }
}

variable "teardown" {
  description = "Set only for an environment about to be thrown away: the zone is deleted with its records."
  type        = bool
  default     = false
  nullable    = false
}
