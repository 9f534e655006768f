# Two of the release managers must agree to every manual approval of the web
# pipelines, with a comment, within a day. The person who started the execution does not
# count.
resource "headrace_approval_rule" "release" {
  name                 = "release"
  description          = "Four eyes on every release"
  pipelines            = ["web", "web-*"]
  minimum_count        = 2
  groups               = ["release-managers"]
  require_comment      = true
  expire_after_minutes = 1440
}

# Nothing enters a production stage without the on-call engineer, who is asked
# about the newest release only.
resource "headrace_approval_rule" "production" {
  name            = "production"
  pipelines       = ["*"]
  stages          = ["Production*"]
  groups          = ["on-call"]
  newer_execution = "supersede"
}
