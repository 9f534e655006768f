resource "headrace_connection" "forge" {
  name = "forge"
}
