variable "name" {
  description = "Application and environment in one word; the roles begin with it, and the apply role may handle only roles that do."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must begin with a letter and hold only a-z, 0-9 and inner hyphens, for example \"app-local\"."
  }

  validation {
    condition     = length(var.name) <= 64 - length("-ci-apply")
    error_message = "name is too long: a role name may have 64 characters, so name may have 55. Shorten it."
  }
}

variable "environment" {
  description = "Environment the pipeline deploys to; shown in descriptions."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "AWS account the roles belong to."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account, for example \"123456789012\"."
  }
}

variable "gitlab" {
  description = "Whose pipelines are trusted: plan from any branch of the project or from plan_branches, apply from branch alone. audience is what the job's id_token names as aud."
  type = object({
    url           = string
    project_path  = string
    branch        = optional(string, "main")
    plan_branches = optional(set(string))
    audience      = optional(string, "https://sts.amazonaws.com")
  })
  nullable = false

  validation {
    condition     = can(regex("^https://[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-zA-Z0-9._-]+)*$", var.gitlab.url))
    error_message = "gitlab.url must begin with https:// and end without a slash, for example \"https://gitlab.com\": AWS fetches GitLab's keys from it."
  }

  validation {
    condition     = can(regex("^[a-zA-Z0-9_][a-zA-Z0-9_.-]*(/[a-zA-Z0-9_][a-zA-Z0-9_.-]*)+$", var.gitlab.project_path))
    error_message = "gitlab.project_path must be the whole path of one project without wildcards, for example \"group/project\": with \"group/*\" every project of the group could take the roles."
  }

  validation {
    condition     = can(regex("^[a-zA-Z0-9_][a-zA-Z0-9_./-]*$", var.gitlab.branch))
    error_message = "gitlab.branch must name one protected branch without wildcards, for example \"main\": who may push to it may change everything."
  }

  validation {
    condition     = var.gitlab.plan_branches == null ? true : length(var.gitlab.plan_branches) > 0 && alltrue([for branch in var.gitlab.plan_branches : can(regex("^[a-zA-Z0-9_][a-zA-Z0-9_./-]*$", branch))])
    error_message = "gitlab.plan_branches must name branches without wildcards; leave it out to let every branch of the project plan."
  }

  validation {
    condition     = can(regex("^[a-zA-Z0-9:/._-]+$", var.gitlab.audience))
    error_message = "gitlab.audience must be one audience without wildcards, for example \"https://sts.amazonaws.com\", the same as aud of the job's id_token."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the identity provider for this GitLab if the account has it already (one per URL and account); null makes it."
  type        = string
  default     = null

  validation {
    condition     = var.oidc_provider_arn == null ? true : can(regex("^arn:[a-z-]+:iam::${var.account_id}:oidc-provider/${replace(trimprefix(var.gitlab.url, "https://"), ".", "\\.")}$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be the provider of gitlab.url in this account: \"arn:aws:iam::${var.account_id}:oidc-provider/${trimprefix(var.gitlab.url, "https://")}\"."
  }
}

variable "state_policy_json" {
  description = "Policy for using the Terraform state, as JSON; both roles get it, and the plan role is denied what would change a state."
  type        = string
  nullable    = false

  validation {
    condition     = can(jsondecode(var.state_policy_json).Statement)
    error_message = "state_policy_json must be a policy document as JSON: the output iam_policy_json of the state backend."
  }
}

variable "apply_policy_arns" {
  description = "Managed policies that let the apply role build the stack. Roles named after the application it may handle anyway."
  type        = set(string)
  default     = ["arn:aws:iam::aws:policy/PowerUserAccess"]
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.apply_policy_arns : can(regex("^arn:[a-z-]+:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "apply_policy_arns must be whole ARNs of managed policies, for example \"arn:aws:iam::aws:policy/PowerUserAccess\"."
  }

  validation {
    condition     = !anytrue([for arn in var.apply_policy_arns : endswith(arn, "/AdministratorAccess") || endswith(arn, "/IAMFullAccess")])
    error_message = "apply_policy_arns must not hold AdministratorAccess or IAMFullAccess: a pipeline with either can make itself break-glass. Use PowerUserAccess; roles named after the application are allowed anyway."
  }
}
