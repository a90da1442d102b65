resource "google_service_account" "conversations" {
  account_id   = "earshot-conversations"
  display_name = "The REST API"
}

resource "google_cloud_run_v2_service" "conversations" {
  name                = "conversations"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL"
  deletion_protection = var.deletion_protection

  # Anybody may ask: users' ID tokens are verified in the service. See listen.tf for why this is no grant.
  invoker_iam_disabled = true

  template {
    service_account                  = google_service_account.conversations.email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "60s"
    max_instance_request_concurrency = 80

    scaling {
      min_instance_count = 0
      max_instance_count = 20
    }

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = google_compute_network.earshot.id
        subnetwork = google_compute_subnetwork.services.id
      }
    }

    containers {
      image = "${local.images}/conversations:${var.release}"

      resources {
        limits = {
          cpu    = "1"
          memory = "512Mi"
        }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      # 85 % of the memory: the garbage collector works harder before the instance is killed.
      env {
        name  = "GOMEMLIMIT"
        value = "435MiB"
      }
      env {
        name  = "PROJECT_ID"
        value = var.project_id
      }
      env {
        name  = "GOOGLE_CLOUD_PROJECT"
        value = var.project_id
      }
      env {
        name  = "OTEL_EXPORTER_OTLP_ENDPOINT"
        value = local.telemetry_endpoint
      }
      env {
        name  = "OTEL_RESOURCE_ATTRIBUTES"
        value = local.telemetry_resource
      }
      env {
        name  = "OTEL_TRACES_SAMPLER_ARG"
        value = var.trace_ratio
      }
      env {
        name = "REDIS_URL"
        value_source {
          secret_key_ref {
            secret  = google_secret_manager_secret.redis_url.secret_id
            version = "latest"
          }
        }
      }
      env {
        name  = "REDIS_CA"
        value = local.redis_ca
      }
      env {
        name  = "TOKEN_ISSUER"
        value = local.token_issuer
      }
      env {
        name  = "TOKEN_AUDIENCE"
        value = local.token_audience
      }
      env {
        name  = "TOKEN_KEYS_URL"
        value = var.token_keys_url
      }

      startup_probe {
        period_seconds    = 1
        failure_threshold = 30
        http_get {
          path = "/healthz"
        }
      }
      liveness_probe {
        period_seconds  = 30
        timeout_seconds = 5
        http_get {
          path = "/healthz"
        }
      }
    }
  }

  lifecycle {
    # Releases are Cloud Build's.
    ignore_changes = [client, client_version, template[0].containers[0].image, traffic]
  }
  depends_on = [
    google_secret_manager_secret_iam_member.conversations_redis_url,
    google_project_iam_member.conversations_firestore,
    google_secret_manager_secret_version.redis_url,
  ]
}

resource "google_project_iam_member" "conversations_firestore" {
  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.conversations.member
}

resource "google_secret_manager_secret_iam_member" "conversations_redis_url" {
  secret_id = google_secret_manager_secret.redis_url.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.conversations.member
}

# Of conversations that are deleted.
resource "google_pubsub_topic_iam_member" "conversations_usage_recorded" {
  topic  = google_pubsub_topic.usage_recorded.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.conversations.member
}

resource "google_pubsub_topic_iam_member" "conversations_conversation_ended" {
  topic  = google_pubsub_topic.conversation_ended.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.conversations.member
}

# Lists are by time, newest first, and may ask for states, sources and what was not discarded besides: for each, one
# index with the time after it, which Firestore merges. Counts go by the same without an order, so by each field
# alone or with the time ascending.
resource "google_firestore_field" "conversations_created_at" {
  database   = google_firestore_database.default.name
  collection = "conversations"
  field      = "created_at"

  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION"
    }
    indexes {
      order       = "DESCENDING"
      query_scope = "COLLECTION"
    }
  }
  depends_on = [google_firestore_field.unindexed]
}

resource "google_firestore_field" "conversations_status" {
  database   = google_firestore_database.default.name
  collection = "conversations"
  field      = "status"

  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION"
    }
  }
  depends_on = [google_firestore_field.unindexed]
}

resource "google_firestore_field" "conversations_source" {
  database   = google_firestore_database.default.name
  collection = "conversations"
  field      = "source"

  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION"
    }
  }
  depends_on = [google_firestore_field.unindexed]
}

resource "google_firestore_field" "conversations_discarded" {
  database   = google_firestore_database.default.name
  collection = "conversations"
  field      = "discarded"

  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION"
    }
  }
  depends_on = [google_firestore_field.unindexed]
}

resource "google_firestore_index" "conversations_status_oldest" {
  database   = google_firestore_database.default.name
  collection = "conversations"

  fields {
    field_path = "status"
    order      = "ASCENDING"
  }
  fields {
    field_path = "created_at"
    order      = "ASCENDING"
  }
}

resource "google_firestore_index" "conversations_status_newest" {
  database   = google_firestore_database.default.name
  collection = "conversations"

  fields {
    field_path = "status"
    order      = "ASCENDING"
  }
  fields {
    field_path = "created_at"
    order      = "DESCENDING"
  }
}

resource "google_firestore_index" "conversations_source_oldest" {
  database   = google_firestore_database.default.name
  collection = "conversations"

  fields {
    field_path = "source"
    order      = "ASCENDING"
  }
  fields {
    field_path = "created_at"
    order      = "ASCENDING"
  }
}

resource "google_firestore_index" "conversations_source_newest" {
  database   = google_firestore_database.default.name
  collection = "conversations"

  fields {
    field_path = "source"
    order      = "ASCENDING"
  }
  fields {
    field_path = "created_at"
    order      = "DESCENDING"
  }
}

resource "google_firestore_index" "conversations_discarded_oldest" {
  database   = google_firestore_database.default.name
  collection = "conversations"

  fields {
    field_path = "discarded"
    order      = "ASCENDING"
  }
  fields {
    field_path = "created_at"
    order      = "ASCENDING"
  }
}

resource "google_firestore_index" "conversations_discarded_newest" {
  database   = google_firestore_database.default.name
  collection = "conversations"

  fields {
    field_path = "discarded"
    order      = "ASCENDING"
  }
  fields {
    field_path = "created_at"
    order      = "DESCENDING"
  }
}

resource "google_firestore_field" "photos_created_at" {
  database   = google_firestore_database.default.name
  collection = "photos"
  field      = "created_at"

  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION"
    }
  }
  depends_on = [google_firestore_field.unindexed]
}

resource "google_project_iam_member" "conversations_traces" {
  project = var.project_id
  role    = "roles/telemetry.tracesWriter"
  member  = google_service_account.conversations.member
}

resource "google_project_iam_member" "conversations_metrics" {
  project = var.project_id
  role    = "roles/telemetry.metricsWriter"
  member  = google_service_account.conversations.member
}
