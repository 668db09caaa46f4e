provider "aws" {
  region = "eu-west-1"
}

module "app_instance" {
  source = "../.."

  name        = "app-production"
  environment = "production"
  account_id  = "123456789012"
  region      = "eu-west-1"

  ami_id   = "ami-0123456789abcdef0"
  instance = { type = "t3.large", app_image = "registry.example.com/app/app:1" }

  network = {
    vpc_id    = "vpc-0123456789abcdef0"
    subnet_id = "subnet-0123456789abcdef0"
  }

  app_secret_name = "app-production/database"
  database_secrets = {
    secret_arns  = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-0e8f-a1b2c3"]
    kms_key_arns = ["arn:aws:kms:eu-west-1:123456789012:key/0f6c1f7e-0000-4000-8000-000000000001"]
  }

  dns = { zone_name = "example.com", zone_id = "Z012345678PRODUCTION" }
}

output "url" {
  value = module.app_instance.url
}
