provider "aws" {
  region = "eu-west-1"
}

module "network" {
  source = "../.."

  name               = "app-production"
  cidr               = "10.40.0.0/16"
  availability_zones = ["eu-west-1a", "eu-west-1b"]
}

output "public_subnet_ids" {
  value = module.network.public_subnet_ids
}
