provider "aws" {
  region = "eu-west-1"
}

module "drill_network" {
  source = "../.."

  name               = "app-production"
  account_id         = "123456789012"
  region             = "eu-west-1"
  cidr               = "10.255.0.0/20"
  availability_zones = ["eu-west-1a", "eu-west-1b"]
}

output "subnet_group" {
  value = module.drill_network.subnet_group
}
