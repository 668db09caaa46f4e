variable "name" {
  description = "Prefix of every name, such as app-production."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name must be 2 to 31 characters: a lower-case letter, then lower-case letters, digits and hyphens."
  }
}

variable "cidr" {
  description = "IPv4 range of the network. It is cut into subnets of 1/16 of it: one public and one private per zone."
  type        = string
  default     = "10.20.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("/(1[6-9]|2[0-4])$", var.cidr))
    error_message = "cidr must be an IPv4 range between /16 and /24, such as 10.20.0.0/16: smaller ones leave no room for the subnets."
  }
}

variable "availability_zones" {
  description = "Zones to build in. The database's subnet group needs two; the instance can be launched again in any of them."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(distinct(var.availability_zones)) >= 2 && length(distinct(var.availability_zones)) <= 8
    error_message = "availability_zones must name at least two different zones (at most 8), such as [\"eu-west-1a\", \"eu-west-1b\"]: RDS refuses a subnet group in one zone, and one zone can fail."
  }

  validation {
    condition     = length(var.availability_zones) == length(distinct(var.availability_zones))
    error_message = "availability_zones must not name a zone twice."
  }
}
