provider "aws" {
  region = "eu-west-1"
}

module "dump_job" {
  source = "../.."

  name        = "app-production"
  environment = "production"
  account_id  = "123456789012"
  region      = "eu-west-1"
  objectives  = { rpo_hours = 24, rto_hours = 4 }

  every_hours = 12
  schedule    = { at = "01:30" }
  task        = { image = "registry.example.com/app/lifeboat:1", cpu = 1024, memory = 2048 }

  network = {
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  }

  database = {
    security_group_id    = "sg-0123456789abcdef0"
    password_secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-0e8f-a1b2c3"]
    kms_key_arns         = ["arn:aws:kms:eu-west-1:123456789012:key/0f6c1f7e-0000-4000-8000-000000000001"]
  }

  # Output kms_key_arn of modules/dump-bucket.
  log_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0f6c1f7e-0000-4000-8000-000000000002"

  # Output writer_policy_json of modules/dump-bucket, and what reads the stack's state.
  policies = {
    writer = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["arn:aws:s3:::app-production-dumps-123456789012-eu-west-1/dumps/*"]
      }]
    })
    state = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["arn:aws:s3:::app-production-tfstate-123456789012-eu-west-1/stack.tfstate"]
      }]
    })
  }
}

output "schedule" {
  value = module.dump_job.schedule
}
