variable "name" {
  description = "Application and environment in one word; every name here begins with it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must begin with a letter and hold only a-z, 0-9 and inner hyphens, for example \"app-local\"."
  }

  validation {
    # S3 allows 63 characters; what follows the name is "-tfstate-", the account, "-" and the longer region.
    condition     = length(var.name) + 22 + max(length(var.region), length(var.dr_region)) <= 63
    error_message = "name is too long: a bucket name may have 63 characters, so name may have ${41 - max(length(var.region), length(var.dr_region))} in these regions. Shorten it."
  }
}

variable "environment" {
  description = "Environment the state belongs to; shown in descriptions."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account that owns the state."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account, for example \"123456789012\"."
  }
}

variable "region" {
  description = "Region of provider aws: the bucket, its key and the lock table."
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
    condition     = var.objectives.rpo_hours >= 0.25
    error_message = "objectives.rpo_hours must be at least 0.25: S3 promises the state's copy in ${var.dr_region} within 15 minutes, not sooner."
  }

  validation {
    condition     = var.objectives.rto_hours > 0
    error_message = "objectives.rto_hours must be more than 0."
  }
}

variable "lock_mode" {
  description = "What keeps two applies apart: the DynamoDB table, S3's own lock file, or both."
  type        = string
  default     = "both"
  nullable    = false

  validation {
    condition     = contains(["both", "dynamodb", "lockfile"], var.lock_mode)
    error_message = "lock_mode must be \"both\", \"dynamodb\" or \"lockfile\"."
  }
}

variable "retention" {
  description = "Days a superseded version of the state is kept. It stays in the standard class: an archive class takes hours to read back."
  type = object({
    superseded_days = optional(number, 365)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.retention.superseded_days >= 90 && floor(var.retention.superseded_days) == var.retention.superseded_days
    error_message = "retention.superseded_days must be a whole number of at least 90: damage to the state is often found weeks later."
  }

  validation {
    condition     = var.retention.superseded_days * 24 >= var.objectives.rpo_hours
    error_message = "retention.superseded_days must cover objectives.rpo_hours: set at least ${ceil(var.objectives.rpo_hours / 24)} days."
  }
}

variable "break_glass_role_arns" {
  description = "Roles besides <name>-break-glass that may delete versions or weaken the buckets; name the administrator who applies this module."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.break_glass_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "break_glass_role_arns must be whole role ARNs without wildcards, for example \"arn:aws:iam::123456789012:role/administrator\"."
  }
}

variable "state_keys" {
  description = "Keys of the states in the bucket: the policies for its users name them, and their spent lock files are cleared after a day."
  type        = set(string)
  default     = ["stack.tfstate", "state.tfstate"]
  nullable    = false

  validation {
    condition     = length(var.state_keys) > 0 && alltrue([for key in var.state_keys : can(regex("^[a-z0-9][a-zA-Z0-9/_-]*\\.tfstate$", key))])
    error_message = "state_keys must name at least one key, each a plain path that ends in \".tfstate\", for example \"stack.tfstate\"."
  }
}

variable "teardown" {
  description = "True in an environment that may be thrown away: buckets empty themselves, and neither table nor keys resist deletion."
  type        = bool
  default     = false
  nullable    = false
}
