# Root 1: what must exist before any other state can be kept. Applied once; its own state is pushed into the bucket it makes.

module "state_backend" {
  source = "../../modules/state-backend"

  providers = {
    aws    = aws
    aws.dr = aws.dr
  }

  name        = var.name
  environment = var.environment
  account_id  = var.account_id
  region      = var.region
  dr_region   = var.dr_region

  lock_mode             = var.lock_mode
  break_glass_role_arns = var.break_glass_role_arns
  teardown              = var.teardown
}
