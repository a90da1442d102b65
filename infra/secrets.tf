# Its value is added by scripts/deploy, so that the state never has it.
resource "google_secret_manager_secret" "deepgram_api_key" {
  secret_id = "deepgram-api-key"

  replication {
    user_managed {
      replicas {
        location = var.region
        customer_managed_encryption {
          kms_key_name = google_kms_crypto_key.data.id
        }
      }
    }
  }
  depends_on = [time_sleep.key]
}

resource "google_secret_manager_secret" "redis_url" {
  secret_id = "redis-url"

  replication {
    user_managed {
      replicas {
        location = var.region
        customer_managed_encryption {
          kms_key_name = google_kms_crypto_key.data.id
        }
      }
    }
  }
  depends_on = [time_sleep.key]
}

resource "google_secret_manager_secret_version" "redis_url" {
  secret = google_secret_manager_secret.redis_url.id
  secret_data = format("rediss://:%s@%s:%d",
    google_redis_instance.earshot.auth_string,
    google_redis_instance.earshot.host,
    google_redis_instance.earshot.port,
  )
}
