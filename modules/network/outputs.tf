output "vpc_id" {
  description = "Id of the network."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Subnets with a way out, in the order of availability_zones. What is launched there can reach AWS and the registry at once."
  value       = [for zone in var.availability_zones : aws_subnet.public[zone].id]

  depends_on = [aws_route.internet, aws_route_table_association.public]
}

output "private_subnet_ids" {
  description = "Subnets with no way out, in the order of availability_zones; the database lives there."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}
