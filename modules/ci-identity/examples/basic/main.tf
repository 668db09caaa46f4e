provider "aws" {
  region = "eu-west-1"
}

# The output iam_policy_json of the state backend, shortened.
locals {
  state_policy_json = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = ["arn:aws:s3:::app-production-tfstate-123456789012-eu-west-1/stack.tfstate"]
    }]
  })
}

module "ci_identity" {
  source = "../.."

  name        = "app-production"
  environment = "production"
  account_id  = "123456789012"

  gitlab = {
    url          = "https://gitlab.com"
    project_path = "group/project"
    branch       = "main"
  }
  state_policy_json = local.state_policy_json
}

output "role_arns" {
  value = module.ci_identity.role_arns
}
