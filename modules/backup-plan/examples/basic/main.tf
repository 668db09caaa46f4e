provider "aws" {
  region = "eu-west-1"
}

provider "aws" {
  alias  = "dr"
  region = "eu-central-1"
}

module "backup_plan" {
  source = "../.."

  providers = {
    aws    = aws
    aws.dr = aws.dr
  }

  name        = "app-production"
  environment = "production"
  account_id  = "123456789012"
  region      = "eu-west-1"
  dr_region   = "eu-central-1"
  objectives  = { rpo_hours = 24, rto_hours = 4 }

  rules = {
    daily  = { schedule = "cron(0 5 * * ? *)", delete_after_days = 35 }
    yearly = { schedule = "cron(0 7 1 1 ? *)", delete_after_days = 2555, cold_storage_after_days = 30 }
  }

  selection = {
    arns = { g1 = "arn:aws:rds:eu-west-1:123456789012:db:app-production-g1" }
  }

  lock = { max_days = 2555 }

  restore_testing = {
    selections = {
      database = { resource_type = "RDS", metadata_overrides = { dbSubnetGroupName = "app-production-database" } }
    }
  }

  break_glass_role_arns = ["arn:aws:iam::123456789012:role/administrator"]
}

output "vaults" {
  value = module.backup_plan.vaults
}
