variable "name" {
  description = "Prefix of every name, such as app-production."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name must be 2 to 31 characters: a lower-case letter, then lower-case letters, digits and hyphens."
  }
}

variable "account_id" {
  description = "AWS account that drills are carried out in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be the 12 digits of an AWS account."
  }
}

variable "region" {
  description = "Region of the network and of the endpoints in it."
  type        = string
  nullable    = false
}

variable "cidr" {
  description = "IPv4 range of the network; it is joined to no other one, and is best one that no other has. Each subnet takes 1/16 of it."
  type        = string
  default     = "10.255.0.0/20"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("/(1[6-9]|2[0-4])$", var.cidr))
    error_message = "cidr must be an IPv4 range between /16 and /24, such as 10.255.0.0/20: smaller ones leave no room for the subnets."
  }
}

variable "availability_zones" {
  description = "Zones to build in; RDS refuses a subnet group in one alone."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) == length(distinct(var.availability_zones))
    error_message = "availability_zones must name at least two zones, each once: RDS refuses a subnet group in one zone."
  }
}

variable "database" {
  description = "Port of the restored database, and ARNs of the keys that its password and its storage are encrypted with."
  type = object({
    port         = optional(number, 5432)
    kms_key_arns = optional(list(string), [])
  })
  default  = {}
  nullable = false
}

variable "client_cidrs" {
  description = "Private IPv4 ranges that ask the restored database, over a connection that you make to this network: a VPN, a peering of the drill runner's network."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.client_cidrs : can(cidrhost(cidr, 0)) && can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\\.)", cidr))])
    error_message = "client_cidrs must be private IPv4 ranges (10/8, 172.16/12, 192.168/16, 100.64/10): nothing of a drill is reached from the internet."
  }
}

variable "endpoints" {
  description = "Services of AWS that a drill's instance reaches, each through an endpoint in one zone that costs money by the hour. Empty: drills of the database and the state alone."
  type        = set(string)
  default     = ["ec2messages", "secretsmanager", "ssm", "ssmmessages"]
  nullable    = false

  validation {
    condition     = length(var.endpoints) == 0 || length(setsubtract(["secretsmanager", "ssm", "ssmmessages"], var.endpoints)) == 0
    error_message = "endpoints must be empty, or hold secretsmanager, ssm and ssmmessages: without all three a drill's instance cannot be asked anything, and its application finds no database."
  }
}

variable "operator_role_name" {
  description = "Role that carries out drills; it may make, ask and clear away what bears a drill's mark. Null: whoever does is allowed elsewhere."
  type        = string
  default     = null
}
