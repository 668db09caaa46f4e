provider "aws" {
  region = "eu-west-1"
}

provider "aws" {
  alias  = "dr"
  region = "eu-central-1"
}

module "database" {
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

  instance = { class = "db.m7g.large", allocated_gb = 100, multi_az = true }
  backup   = { retention_days = 35, backup_window = "02:00-03:00", maintenance_window = "sun:00:00-sun:01:00" }

  # g1 was lost on a bad day; lifeboat restored g2 beside it, and g1 waits for the post-mortem.
  generations       = { g1 = {}, g2 = { restored = true } }
  active_generation = "g2"

  network = {
    vpc_id                    = "vpc-0123456789abcdef0"
    subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    client_security_group_ids = { app = "sg-0123456789abcdef0" }
  }
}

output "database" {
  value = module.database.active
}
