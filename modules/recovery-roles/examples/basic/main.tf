provider "aws" {
  region = "eu-west-1"
}

# In a stack these come from the dump bucket: module.dump_bucket.writer_policy_json and reader_policy_json.
locals {
  writer_policy_json = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = ["arn:aws:s3:::app-production-dumps-123456789012-eu-west-1/dumps/*"]
    }]
  })
}

module "recovery_roles" {
  source = "../.."

  name        = "app-production"
  environment = "production"
  account_id  = "123456789012"

  policies = { writer = local.writer_policy_json }
  trusted = {
    writer_services  = ["ec2.amazonaws.com"]
    restore_operator = ["arn:aws:iam::123456789012:role/on-call"]
    break_glass      = ["arn:aws:iam::123456789012:user/duty-manager"]
  }
  passed_role_arns = ["arn:aws:iam::123456789012:role/app-production-instance"]
}

output "role_arns" {
  value = module.recovery_roles.role_arns
}
