resource "google_service_account" "listen" {
  account_id   = "earshot-listen"
  display_name = "Holds live sessions"
}

locals {
  # Sessions of an instance; README.md, "Capacity", says why so many, and an instance's CPU and memory are of this number.
  listen_sessions = 200
}

# A session is a request of an hour, at the end of which the client comes back. Affinity lets it find what is cached of
# it; nothing depends on that. CPU is always allocated: a session that drains answers no request.
resource "google_cloud_run_v2_service" "listen" {
  name                = "listen"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL"
  deletion_protection = var.deletion_protection

  # Anybody may knock: devices have no Google account. Users' ID tokens are verified at the door. A grant to allUsers would be
  # refused in organisations made since May 2024 (iam.allowedPolicyMemberDomains).
  invoker_iam_disabled = true

  template {
    service_account                  = google_service_account.listen.email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "3600s"
    max_instance_request_concurrency = local.listen_sessions
    session_affinity                 = true

    scaling {
      min_instance_count = var.listen_min_instances
      max_instance_count = var.listen_max_instances
    }

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = google_compute_network.earshot.id
        subnetwork = google_compute_subnetwork.services.id
      }
    }

    containers {
      image = "${local.images}/listen:${var.release}"

      resources {
        limits = {
          cpu    = "2"
          memory = "1Gi"
        }
        cpu_idle          = false
        startup_cpu_boost = true
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
      env {
        name = "DEEPGRAM_API_KEY"
        value_source {
          secret_key_ref {
            secret  = google_secret_manager_secret.deepgram_api_key.secret_id
            version = "latest"
          }
        }
      }
      env {
        name  = "MAX_SESSIONS"
        value = local.listen_sessions
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
    google_secret_manager_secret_iam_member.listen_deepgram_api_key,
    google_secret_manager_secret_iam_member.listen_redis_url,
    google_project_iam_member.listen_firestore,
    google_secret_manager_secret_version.redis_url,
  ]
}

resource "google_project_iam_member" "listen_firestore" {
  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.listen.member
}

resource "google_secret_manager_secret_iam_member" "listen_redis_url" {
  secret_id = google_secret_manager_secret.redis_url.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.listen.member
}

resource "google_secret_manager_secret_iam_member" "listen_deepgram_api_key" {
  secret_id = google_secret_manager_secret.deepgram_api_key.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.listen.member
}

resource "google_pubsub_topic_iam_member" "listen_conversation_ended" {
  topic  = google_pubsub_topic.conversation_ended.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.listen.member
}

resource "google_pubsub_topic_iam_member" "listen_usage_recorded" {
  topic  = google_pubsub_topic.usage_recorded.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.listen.member
}

resource "google_pubsub_topic_iam_member" "listen_transcript_appended" {
  topic  = google_pubsub_topic.transcript_appended.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.listen.member
}

resource "google_pubsub_topic_iam_member" "listen_audio_appended" {
  topic  = google_pubsub_topic.audio_appended.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.listen.member
}

resource "google_project_iam_member" "listen_traces" {
  project = var.project_id
  role    = "roles/telemetry.tracesWriter"
  member  = google_service_account.listen.member
}

resource "google_project_iam_member" "listen_metrics" {
  project = var.project_id
  role    = "roles/telemetry.metricsWriter"
  member  = google_service_account.listen.member
}
