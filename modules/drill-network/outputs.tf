output "subnet_group" {
  description = "Subnet group that databases of drills are restored into."
  value       = aws_db_subnet_group.this.name

  depends_on = [aws_route_table_association.this, aws_vpc_security_group_ingress_rule.database_from_instance]
}

output "subnet_ids" {
  description = "Subnets with no way out, in the order of availability_zones; the endpoints are in the first one's zone."
  value       = [for zone in var.availability_zones : aws_subnet.this[zone].id]

  depends_on = [aws_route_table_association.this, aws_vpc_endpoint.this]
}

output "security_groups" {
  description = "Security groups of a drill's database and of its instance."
  value = {
    database = aws_security_group.database.id
    instance = aws_security_group.instance.id
  }

  depends_on = [
    aws_vpc_security_group_ingress_rule.database_from_client,
    aws_vpc_security_group_ingress_rule.endpoints_from_instance,
    aws_vpc_security_group_egress_rule.instance_to_database,
    aws_vpc_security_group_egress_rule.instance_to_endpoints,
  ]
}

output "instance_profile" {
  description = "Instance profile of a drill's instance; null without endpoints, for nobody could ask it anything."
  value       = length(var.endpoints) == 0 ? null : aws_iam_instance_profile.this.name

  depends_on = [aws_iam_role_policy_attachment.ssm, aws_iam_role_policy.secrets]
}
