locals {
  _tags = {
    application = var.name
    environment = var.environment
    managed-by  = "lifeboat"
  }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = var.offline ? null : [var.account_id]
  s3_use_path_style   = var.s3_use_path_style
  max_retries         = var.provider_max_retries

  skip_credentials_validation = var.offline
  skip_requesting_account_id  = var.offline
  skip_metadata_api_check     = var.offline

  default_tags {
    tags = local._tags
  }
}

provider "aws" {
  alias = "dr"

  region              = var.dr_region
  allowed_account_ids = var.offline ? null : [var.account_id]
  s3_use_path_style   = var.s3_use_path_style
  max_retries         = var.provider_max_retries

  skip_credentials_validation = var.offline
  skip_requesting_account_id  = var.offline
  skip_metadata_api_check     = var.offline

  default_tags {
    tags = local._tags
  }
}
