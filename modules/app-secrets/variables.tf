variable "name" {
  description = "Application and environment in one word; the secret is \"<name>/database\"."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must begin with a letter and hold only a-z, 0-9 and inner hyphens, for example \"app-local\"."
  }
}

variable "region" {
  description = "Region of the provider: where the secret is written."
  type        = string
  nullable    = false
}

variable "dr_region" {
  description = "Region that Secrets Manager copies the secret to."
  type        = string
  nullable    = false

  validation {
    condition     = var.dr_region != var.region
    error_message = "dr_region must differ from region: a copy in the same region is lost together with the original."
  }
}

variable "database" {
  description = "Where the serving database is, and the secret that holds its password: the password itself never comes here."
  type = object({
    host                = string
    port                = number
    dbname              = string
    username            = string
    password_secret_arn = string
  })
  nullable = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$", var.database.password_secret_arn))
    error_message = "database.password_secret_arn must be the ARN of a Secrets Manager secret. Never put a password here: it would be readable in the state."
  }
}

variable "kms_key_arns" {
  description = "Keys of the secret and of its copy, each in its own region. Null: the region's key for Secrets Manager (alias/aws/secretsmanager)."
  type = object({
    primary = string
    dr      = string
  })
  default = null

  validation {
    condition = var.kms_key_arns == null ? true : (
      startswith(split(":kms:", var.kms_key_arns.primary)[1], "${var.region}:") && startswith(split(":kms:", var.kms_key_arns.dr)[1], "${var.dr_region}:")
    )
    error_message = "kms_key_arns.primary must be the ARN of a key in ${var.region} and kms_key_arns.dr of one in ${var.dr_region}: a key works in its own region only."
  }
}

variable "teardown" {
  description = "Set only for an environment about to be thrown away: the secret is deleted at once instead of after 30 days."
  type        = bool
  default     = false
  nullable    = false
}
