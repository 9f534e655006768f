data "headrace_deliveries" "refused" {
  status = "REFUSED"
  limit  = 10
}

output "refused" {
  value = [for delivery in data.headrace_deliveries.refused.deliveries : "${delivery.address}: ${delivery.message} (${delivery.count})"]
}
