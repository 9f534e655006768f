module github.com/headrace/terraform-provider-headrace/tools/gitlab

go 1.26.0

require gitlab.com/gitlab-org/api/client-go/v2 v2.64.0
