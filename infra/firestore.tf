resource "google_firestore_database" "default" {
  name                              = "(default)"
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"

  cmek_config {
    kms_key_name = google_kms_crypto_key.data.id
  }
  depends_on = [time_sleep.key]
}

resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.default.name
  retention = "604800s" # 7 days

  daily_recurrence {}
}

# Firestore indexes every field unless told otherwise, at the cost of each write. Here no field has an index but those
# that shared/store asks by, which follow, and those of a service's own file.
resource "google_firestore_field" "unindexed" {
  for_each = toset(["conversations", "deleted", "deliveries", "devices", "pages", "photos", "usage", "users", "webhooks"])

  database   = google_firestore_database.default.name
  collection = each.key
  field      = "*"

  index_config {}
}

# What the sweep looks for, across all users.
resource "google_firestore_field" "conversations_expires_at" {
  database   = google_firestore_database.default.name
  collection = "conversations"
  field      = "expires_at"

  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION_GROUP"
    }
  }
  depends_on = [google_firestore_field.unindexed]
}

resource "google_firestore_field" "conversations_pending_since" {
  database   = google_firestore_database.default.name
  collection = "conversations"
  field      = "pending.since"

  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION_GROUP"
    }
  }
  depends_on = [google_firestore_field.unindexed]
}

resource "google_firestore_field" "deliveries_expires_at" {
  database   = google_firestore_database.default.name
  collection = "deliveries"
  field      = "expires_at"

  ttl_config {}
  index_config {}
  depends_on = [google_firestore_field.unindexed]
}
