"""The rules of disaster recovery on plans in the shape that Terraform writes."""
