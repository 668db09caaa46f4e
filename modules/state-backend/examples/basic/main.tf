provider "aws" {
  region = "eu-west-1"
}

provider "aws" {
  alias  = "dr"
  region = "eu-central-1"
}

module "state_backend" {
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

  break_glass_role_arns = ["arn:aws:iam::123456789012:role/administrator"]
}

output "backend" {
  value = module.state_backend.backend
}
