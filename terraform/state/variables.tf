variable "name" {
  description = "Application and environment in one word; every name begins with it."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment whose state is kept."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account the credentials must belong to."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the state bucket and the lock table."
  type        = string
  nullable    = false
}

variable "dr_region" {
  description = "Region of the replica."
  type        = string
  nullable    = false
}

variable "lock_mode" {
  description = "What keeps two applies apart: \"dynamodb\", \"lockfile\" or \"both\"."
  type        = string
  default     = "both"
  nullable    = false
}

variable "break_glass_role_arns" {
  description = "Roles besides <name>-break-glass that may weaken the buckets; name whoever applies this root."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "teardown" {
  description = "True in an environment that may be thrown away; production refuses it."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !(var.teardown && var.environment == "production")
    error_message = "teardown must be false for production: it lets the state bucket empty itself."
  }
}

variable "s3_use_path_style" {
  description = "True where bucket names are not host names, as on the local cloud."
  type        = bool
  default     = false
  nullable    = false
}

variable "provider_max_retries" {
  description = "How often the provider repeats a failed request; low on the local cloud, where a failure is an answer."
  type        = number
  default     = 25
  nullable    = false

  validation {
    condition     = var.provider_max_retries >= 0 && floor(var.provider_max_retries) == var.provider_max_retries
    error_message = "provider_max_retries must be a whole number, 0 or more."
  }
}

variable "offline" {
  description = "True to plan without reaching AWS: credentials and account are not checked."
  type        = bool
  default     = false
  nullable    = false
}
