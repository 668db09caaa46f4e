output "backend" {
  description = "Settings for terraform init -backend-config of the other roots; add the key."
  value       = module.state_backend.backend
}

output "protection" {
  description = "What protects the Terraform state."
  value       = module.state_backend.protection
}
