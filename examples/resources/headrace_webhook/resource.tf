# Ephemeral variables are in neither the plan nor the state: TF_VAR_gitlab_token=… terraform apply
variable "gitlab_token" {
  type      = string
  ephemeral = true
  sensitive = true
}

variable "webhook_secret" {
  type      = string
  ephemeral = true
  sensitive = true
}

resource "headrace_connection" "gitlab" {
  name = "gitlab"

  gitlab {
    token_wo         = var.gitlab_token
    token_wo_version = 1
  }
}

# Headrace registers the hook on each repository that a trigger watches. To set another secret,
# change secret_wo_version too.
resource "headrace_webhook" "gitlab" {
  name              = "gitlab"
  kind              = "gitlab"
  connection_name   = headrace_connection.gitlab.name
  manage            = true
  secret_wo         = var.webhook_secret
  secret_wo_version = 1
}

# Any sender that signs what it sends, such as a registry.
resource "headrace_webhook" "registry" {
  name              = "registry"
  description       = "Pushes to the registry"
  kind              = "generic"
  secret_wo         = var.webhook_secret
  secret_wo_version = 1
  tags              = { team = "platform" }

  authentication {
    hmac {
      header = "X-Signature-256"
      prefix = "sha256="
    }
  }
}

# Where the registry sends its events to.
output "registry_webhook_url" {
  value = headrace_webhook.registry.url
}
