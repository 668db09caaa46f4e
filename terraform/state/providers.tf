locals {
  default_tags = {
    application = var.name
    environment = var.environment
    managed-by  = "lifeboat"
  }

  # Credentials of another account must never reach this one; offline there is nobody to ask whose they are.
  allowed_account_ids = var.offline ? null : [var.account_id]
}

provider "aws" {
  region                      = var.region
  allowed_account_ids         = local.allowed_account_ids
  max_retries                 = var.provider_max_retries
  s3_use_path_style           = var.s3_use_path_style
  skip_credentials_validation = var.offline
  skip_metadata_api_check     = var.offline
  skip_requesting_account_id  = var.offline

  default_tags {
    tags = local.default_tags
  }
}

provider "aws" {
  alias = "dr"

  region                      = var.dr_region
  allowed_account_ids         = local.allowed_account_ids
  max_retries                 = var.provider_max_retries
  s3_use_path_style           = var.s3_use_path_style
  skip_credentials_validation = var.offline
  skip_metadata_api_check     = var.offline
  skip_requesting_account_id  = var.offline

  default_tags {
    tags = local.default_tags
  }
}
