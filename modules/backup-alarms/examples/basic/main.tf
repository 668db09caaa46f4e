provider "aws" {
  region = "eu-west-1"
}

provider "aws" {
  alias  = "dr"
  region = "eu-central-1"
}

module "backup_alarms" {
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
  subscribers = ["on-call@example.com"]

  watch = {
    databases       = { g1 = "app-production-g1" }
    vaults          = { primary = "app-production-backups", dr = "app-production-backups-dr" }
    backup_plan_ids = { backups = "0a1b2c3d-0000-4000-8000-000000000001" }
    dlm_policy_ids  = { snapshots = "policy-0123456789abcdef0", images = "policy-0123456789abcdef1" }
    kms_key_arns    = { database = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000002" }
    dr_kms_key_arns = { database = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000003" }
    buckets         = { dumps = "app-production-dumps-123456789012-eu-west-1" }
    dr_buckets      = { dumps = "app-production-dumps-123456789012-eu-central-1" }

    replications = {
      dumps = {
        source_bucket      = "app-production-dumps-123456789012-eu-west-1"
        destination_bucket = "app-production-dumps-123456789012-eu-central-1"
        rule_id            = "to-eu-central-1"
      }
    }

    dump_job = {
      cluster_arn   = "arn:aws:ecs:eu-west-1:123456789012:cluster/app-production-dump"
      family        = "app-production-dump"
      not_run_queue = "app-production-dump-not-run"
    }
  }
}

output "topic_arn" {
  value = module.backup_alarms.topic_arn
}
