resource "headrace_webhook" "releases" {
  name              = "releases"
  description       = "Releases of the registry"
  kind              = "generic"
  secret_wo_version = 1
  tags              = { team = "web" }

  authentication {
    hmac {
      header    = "X-Signature"
      algorithm = "sha512"
      prefix    = "sha512="
      encoding  = "base64"
    }
  }
}
