"""The two Terraform roots of an environment: looked at, repaired, planned, applied."""
