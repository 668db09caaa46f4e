ami_id = "ami-0a1b2c3d4e5f60718" # Amazon Linux 2023; after a recovery production.recovery.tfvars.json names the recovery image

network = {
  cidr               = "10.40.0.0/16"
  availability_zones = ["a", "b", "c"]
}

database = {
  instance = {
    class            = "db.m7g.large"
    allocated_gb     = 100
    max_allocated_gb = 500
    multi_az         = true
  }
  backup = {
    retention_days    = 35
    dr_retention_days = 14
  }
}

instance = {
  type      = "t3.large"
  volume_gb = 50
  app_image = "registry.example.com/app/app:1"
}

dns = {
  zone_name   = "example.com"
  record_name = "app"
  zone_id     = "Z012345678PRODUCTION"
}
