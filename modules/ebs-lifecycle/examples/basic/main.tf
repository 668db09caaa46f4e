provider "aws" {
  region = "eu-west-1"
}

provider "aws" {
  alias  = "dr"
  region = "eu-central-1"
}

module "ebs_lifecycle" {
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
  objectives  = { rpo_hours = 12, rto_hours = 4 }

  snapshots = {
    schedules = {
      twice-daily = { every_hours = 12, at = "03:00", keep_days = 14, copy = { keep_days = 7 } }
    }
  }

  break_glass_role_arns = ["arn:aws:iam::123456789012:role/administrator"]
}

output "policy_ids" {
  value = module.ebs_lifecycle.policy_ids
}
