variable "name" {
  description = "Application and environment in one word; every role begins with it, and what the roles may touch is found by it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "name must begin with a letter and hold only a-z, 0-9 and inner hyphens, for example \"app-local\"."
  }

  validation {
    condition     = length(var.name) <= 64 - length("-restore-operator")
    error_message = "name is too long: a role name may have 64 characters, so name may have 47. Shorten it."
  }
}

variable "environment" {
  description = "Environment the roles work in; shown in descriptions."
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

variable "policies" {
  description = "Policies as JSON, by use: writer (adds dumps) goes to the writer; reader (finds and reads dumps) to verifier, retention and restore operator; prover (puts proofs beside them), state_reader (looks up where they are) to verifier and retention, alarms (rings them, to prove that they are heard) to the verifier; state (uses the Terraform state) to the restore operator."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.policies), ["writer", "reader", "prover", "state", "state_reader", "alarms"])) == 0
    error_message = "policies may have the keys \"writer\", \"reader\", \"prover\", \"state\", \"state_reader\" and \"alarms\"; remove or rename: ${join(", ", setsubtract(keys(var.policies), ["writer", "reader", "prover", "state", "state_reader", "alarms"]))}."
  }

  validation {
    condition     = alltrue([for policy in values(var.policies) : can(jsondecode(policy).Statement)])
    error_message = "Each value of policies must be a policy document as JSON, for example module.dump_bucket.writer_policy_json."
  }
}

variable "trusted" {
  description = "Who may take each role: ARNs of roles or users, and services that run jobs with it. pipeline drills as the restore operator, by tokens of one subject alone. An empty list means whoever in the account IAM allows to."
  type = object({
    writer                    = optional(set(string), [])
    writer_services           = optional(set(string), [])
    verifier                  = optional(set(string), [])
    verifier_services         = optional(set(string), [])
    retention                 = optional(set(string), [])
    retention_services        = optional(set(string), [])
    restore_operator          = optional(set(string), [])
    restore_operator_services = optional(set(string), [])
    break_glass               = optional(set(string), [])
    pipeline = optional(object({
      provider_arn = string
      issuer       = string
      audience     = string
      subject      = string
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for arn in setunion(var.trusted.writer, var.trusted.verifier, var.trusted.retention, var.trusted.restore_operator, var.trusted.break_glass) :
      can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+$", arn))
    ])
    error_message = "trusted must list whole ARNs of roles or users without wildcards, for example \"arn:aws:iam::123456789012:role/on-call\"."
  }

  validation {
    condition     = length(setsubtract(var.trusted.writer_services, ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com", "scheduler.amazonaws.com"])) == 0
    error_message = "trusted.writer_services may hold ec2.amazonaws.com, ecs-tasks.amazonaws.com and scheduler.amazonaws.com: what can run a dump."
  }

  validation {
    condition     = length(setsubtract(setunion(var.trusted.verifier_services, var.trusted.retention_services, var.trusted.restore_operator_services), ["ecs-tasks.amazonaws.com"])) == 0
    error_message = "trusted.verifier_services, retention_services and restore_operator_services may hold ecs-tasks.amazonaws.com: what runs `lifeboat verify`, `lifeboat retention` and `lifeboat drill` on a schedule."
  }

  validation {
    condition     = alltrue([for pipeline in var.trusted.pipeline[*] : !can(regex("[*?]", "${pipeline.audience}${pipeline.subject}")) && pipeline.subject != ""])
    error_message = "trusted.pipeline must name one audience and one subject without wildcards: whose token fits restores."
  }
}

variable "passed_role_arns" {
  description = "Roles the restore operator may hand to what it starts: the instance's role, the role of AWS Backup."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.passed_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "passed_role_arns must be whole role ARNs without wildcards: who may pass any role may become anybody."
  }
}
