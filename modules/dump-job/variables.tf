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
  description = "Environment whose database is dumped; the job runs `lifeboat dump -e` with it, so the image must have its file."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.environment))
    error_message = "environment must start with a lower-case letter and hold only lower-case letters, digits and hyphens: it is a file's name in the image."
  }
}

variable "account_id" {
  description = "AWS account that the job runs in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account, for example \"123456789012\"."
  }
}

variable "region" {
  description = "Region of the job, the database and the dump bucket."
  type        = string
  nullable    = false
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
    condition     = var.objectives.rpo_hours >= 1 && var.objectives.rto_hours > 0
    error_message = "objectives.rpo_hours must be at least 1 and rto_hours more than 0: a dump every hour is the most that the job makes. For less, rely on the database's own log (modules/database)."
  }
}

variable "every_hours" {
  description = "Hours between two dumps: a divisor of 24, so that the hours of the day stay the same."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = contains([1, 2, 3, 4, 6, 8, 12, 24], var.every_hours)
    error_message = "every_hours must be 1, 2, 3, 4, 6, 8, 12 or 24."
  }

  validation {
    condition     = var.every_hours <= var.objectives.rpo_hours
    error_message = "every_hours (${var.every_hours}) is more than objectives.rpo_hours (${var.objectives.rpo_hours}): dump more often, or accept the loss of more data."
  }
}

variable "schedule" {
  description = <<-EOT
    When dumps are made, UTC: `at` is one of their times, and the others follow every every_hours. Or a cron of six fields
    instead, whose longest pause must not be longer than every_hours. jobs are other commands of the same image, by a short
    name, each with a cron of its own, UTC; they work with role_arn, or with the dump job's own role where that is null.
  EOT
  type = object({
    at   = optional(string, "01:30")
    cron = optional(string)
    jobs = optional(map(object({
      command  = list(string)
      cron     = string
      role_arn = optional(string)
    })), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", var.schedule.at))
    error_message = "schedule.at must be a time such as \"01:30\", UTC."
  }

  validation {
    condition     = alltrue([for name, job in var.schedule.jobs : can(regex("^[a-z][a-z0-9-]{1,15}$", name)) && name != "dump" && length(job.command) > 0])
    error_message = "schedule.jobs must have short names of their own (2 to 16 of a-z, 0-9 and hyphens, not \"dump\") and a command each, for example { status = { command = [\"status\", \"--publish\"], cron = \"cron(17 * * * ? *)\" } }."
  }

  validation {
    condition     = alltrue([for job in var.schedule.jobs : can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", job.cron))])
    error_message = "schedule.jobs: each cron must have six fields, for example \"cron(17 * * * ? *)\"."
  }

  validation {
    condition     = var.schedule.cron == null ? true : can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", var.schedule.cron))
    error_message = "schedule.cron must have six fields, for example \"cron(30 1,13 * * ? *)\"."
  }
}

variable "task" {
  description = <<-EOT
    What runs: image is this project's own (Dockerfile), cpu in units of 1/1024, memory in MiB as Fargate offers them.
    arguments follow `lifeboat dump -e <environment>`. secrets are variables of the container by name, each the ARN of a
    secret. log_days is how long its output is kept.
  EOT
  type = object({
    image     = string
    cpu       = optional(number, 512)
    memory    = optional(number, 1024)
    arguments = optional(list(string), [])
    secrets   = optional(map(string), {})
    log_days  = optional(number, 365)
  })
  nullable = false

  validation {
    condition     = can(regex("^[a-z0-9][a-zA-Z0-9./:@_-]*$", var.task.image))
    error_message = "task.image must be an image reference such as registry.example.com/app/lifeboat:1, not \"${var.task.image}\"."
  }

  validation {
    # The table of AWS Fargate: MiB by CPU units; below 1 CPU from 512 on, above it in steps.
    condition = try(contains({
      256   = [512, 1024, 2048]
      512   = range(1024, 4097, 1024)
      1024  = range(2048, 8193, 1024)
      2048  = range(4096, 16385, 1024)
      4096  = range(8192, 30721, 1024)
      8192  = range(16384, 61441, 4096)
      16384 = range(32768, 122881, 8192)
    }[var.task.cpu], var.task.memory), false)
    error_message = "task.cpu (${var.task.cpu}) and task.memory (${var.task.memory}) are no pair that Fargate has: cpu 256 goes with 512, 1024 or 2048 MiB, 512 with 1024 to 4096, 1024 with 2048 to 8192, 2048 with 4096 to 16384."
  }

  validation {
    condition     = alltrue([for name, arn in var.task.secrets : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^arn:[a-z-]+:(secretsmanager|ssm):[a-z0-9-]+:[0-9]{12}:.+$", arn))])
    error_message = "task.secrets must be ARNs of secrets or parameters by the name of a variable: a value in their place would be readable in the task definition."
  }

  validation {
    condition     = contains([7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.task.log_days)
    error_message = "task.log_days must be one of the periods that CloudWatch Logs has, such as 30, 90 or 365."
  }
}

variable "network" {
  description = "Where tasks run. Without a public address the subnets need another way to S3, Secrets Manager, CloudWatch Logs and the registry: NAT or endpoints."
  type = object({
    vpc_id           = string
    subnet_ids       = list(string)
    assign_public_ip = optional(bool, false)
  })
  nullable = false

  validation {
    condition     = length(var.network.subnet_ids) > 0
    error_message = "network.subnet_ids must name at least one subnet."
  }
}

variable "database" {
  description = <<-EOT
    Whose database: its security group (which must let `security_group_id` of this module in), its port, the secrets of all
    its generations' passwords and the keys that these are encrypted with. sign_in: with the password, or as a database user
    by IAM; then resource_ids are the instances' (dbi-resource-id) and user is who signs in.
  EOT
  type = object({
    security_group_id    = string
    port                 = optional(number, 5432)
    password_secret_arns = optional(list(string), [])
    kms_key_arns         = optional(list(string), [])
    sign_in              = optional(string, "password")
    user                 = optional(string)
    resource_ids         = optional(list(string), [])
  })
  nullable = false

  validation {
    condition     = contains(["password", "iam"], var.database.sign_in)
    error_message = "database.sign_in must be \"password\" or \"iam\"."
  }

  validation {
    condition     = var.database.sign_in != "iam" ? true : var.database.user != null && length(var.database.resource_ids) > 0
    error_message = "database.sign_in = \"iam\" needs database.user and database.resource_ids: whoever may sign in as anybody, anywhere, is not limited."
  }
}

variable "policies" {
  description = "What the job may do besides reading the password, as JSON: writer adds dumps to the bucket, state reads what the manifest notes of the stack; look and reader, where given, see what `lifeboat status` reports and change nothing."
  type = object({
    writer = string
    state  = string
    look   = optional(string)
    reader = optional(string)
  })
  nullable = false

  validation {
    condition     = alltrue([for policy in values(var.policies) : policy == null ? true : can(jsondecode(policy).Statement)])
    error_message = "policies must be policy documents in JSON, such as output writer_policy_json of modules/dump-bucket."
  }
}

variable "log_kms_key_arn" {
  description = "Key that the job's output is encrypted with; its policy must let CloudWatch Logs use it, as the key of modules/dump-bucket does."
  type        = string
  nullable    = false
}
