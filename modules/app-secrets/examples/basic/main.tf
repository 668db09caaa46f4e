provider "aws" {
  region = "eu-west-1"
}

module "app_secrets" {
  source = "../.."

  name      = "app-production"
  region    = "eu-west-1"
  dr_region = "eu-central-1"

  database = {
    host                = "app-production-g1.c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com"
    port                = 5432
    dbname              = "app"
    username            = "app"
    password_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-0a1b2c3d"
  }
}

output "secret" {
  value = module.app_secrets.name
}
