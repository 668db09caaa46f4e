# Production's rehearsal: one zone's database, shorter retention, the same shape.
ami_id = "ami-0a1b2c3d4e5f60718" # Amazon Linux 2023; `lifeboat ami latest` prints a newer one

network = {
  cidr = "10.30.0.0/16"
}

database = {
  instance = {
    class        = "db.t4g.small"
    allocated_gb = 20
  }
  backup = {
    retention_days    = 7
    dr_retention_days = 7
  }
}

instance = {
  type      = "t3.small"
  app_image = "registry.example.com/app/app:1"
}

dns = {
  zone_name   = "staging.example.com"
  record_name = "app"
  zone_id     = "Z0123456789STAGING01"
}
