provider "aws" {
  region = "eu-west-1"
}

provider "aws" {
  alias  = "dr"
  region = "eu-central-1"
}

module "dump_bucket" {
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

  every_hours = 6
  retention   = { current_days = 60, superseded_days = 90, infrequent_access_after_days = 30 }
  object_lock = { mode = "GOVERNANCE", days = 14 }
}

output "policy_of_the_dump_job" {
  value = module.dump_bucket.writer_policy_json
}
