"""What can happen to Terraform's state, what plain Terraform makes of it, and how lifeboat gets it back."""
