# Memorystore for Redis, and not for Valkey, which has no passwords: its tokens of one hour are something that the
# client would have to know of.
resource "google_redis_instance" "earshot" {
  name                    = "earshot"
  region                  = var.region
  tier                    = "STANDARD_HA"
  memory_size_gb          = var.redis_memory_gb
  redis_version           = "REDIS_7_2"
  authorized_network      = google_compute_network.earshot.id
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"
  customer_managed_key    = google_kms_crypto_key.data.id

  redis_configs = {
    maxmemory-policy = "allkeys-lru"
  }

  depends_on = [
    time_sleep.key,
    google_service_networking_connection.managed,
  ]
}

locals {
  # Redis' certificate is signed by authorities of its own. They are public: no secret.
  redis_ca = join("\n", google_redis_instance.earshot.server_ca_certs[*].cert)
}
