resource "google_service_account" "integrations" {
  account_id   = "earshot-integrations"
  display_name = "Delivers to webhooks"
}

resource "google_cloud_run_v2_service" "integrations" {
  name                = "integrations"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  custom_audiences    = ["earshot-integrations"]
  deletion_protection = var.deletion_protection

  template {
    service_account                  = google_service_account.integrations.email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "300s"
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
      image = "${local.images}/integrations:${var.release}"

      resources {
        limits = {
          cpu    = "1"
          memory = "512Mi"
        }
        cpu_idle          = true
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
        name  = "PUSH_AUDIENCE"
        value = "earshot-integrations"
      }
      env {
        name  = "PUSH_ACCOUNT"
        value = google_service_account.push.email
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
    google_secret_manager_secret_iam_member.integrations_redis_url,
    google_project_iam_member.integrations_firestore,
    google_secret_manager_secret_version.redis_url,
  ]
}

resource "google_pubsub_subscription" "conversation_finalized_integrations" {
  name                       = "conversation-finalized-integrations"
  topic                      = google_pubsub_topic.conversation_finalized.id
  ack_deadline_seconds       = 600
  message_retention_duration = "604800s" # 7 days

  push_config {
    push_endpoint = google_cloud_run_v2_service.integrations.uri
    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = "earshot-integrations"
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter.id
    max_delivery_attempts = 20
  }

  expiration_policy {
    ttl = "" # never
  }
  depends_on = [google_pubsub_topic_iam_member.dead_letter]
}

# To move a message to the dead letters, Pub/Sub takes it from here by itself.
resource "google_pubsub_subscription_iam_member" "conversation_finalized_integrations" {
  subscription = google_pubsub_subscription.conversation_finalized_integrations.id
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.agents["pubsub"].member
}

resource "google_pubsub_subscription" "transcript_appended_integrations" {
  name                       = "transcript-appended-integrations"
  topic                      = google_pubsub_topic.transcript_appended.id
  ack_deadline_seconds       = 600
  message_retention_duration = "600s" # the least there is: words are told while they are news

  push_config {
    push_endpoint = google_cloud_run_v2_service.integrations.uri
    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = "earshot-integrations"
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter.id
    max_delivery_attempts = 20
  }

  expiration_policy {
    ttl = "" # never
  }
  depends_on = [google_pubsub_topic_iam_member.dead_letter]
}

# To move a message to the dead letters, Pub/Sub takes it from here by itself.
resource "google_pubsub_subscription_iam_member" "transcript_appended_integrations" {
  subscription = google_pubsub_subscription.transcript_appended_integrations.id
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.agents["pubsub"].member
}

resource "google_pubsub_subscription" "audio_appended_integrations" {
  name                       = "audio-appended-integrations"
  topic                      = google_pubsub_topic.audio_appended.id
  ack_deadline_seconds       = 600
  message_retention_duration = "600s" # the least there is: audio is told while it is news
  enable_message_ordering    = true   # what one device has heard, in the order in which it did

  push_config {
    push_endpoint = google_cloud_run_v2_service.integrations.uri
    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = "earshot-integrations"
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter.id
    max_delivery_attempts = 20
  }

  expiration_policy {
    ttl = "" # never
  }
  depends_on = [google_pubsub_topic_iam_member.dead_letter]
}

# To move a message to the dead letters, Pub/Sub takes it from here by itself.
resource "google_pubsub_subscription_iam_member" "audio_appended_integrations" {
  subscription = google_pubsub_subscription.audio_appended_integrations.id
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.agents["pubsub"].member
}

resource "google_cloud_run_v2_service_iam_member" "integrations_push" {
  name     = google_cloud_run_v2_service.integrations.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.push.member
}

resource "google_project_iam_member" "integrations_firestore" {
  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.integrations.member
}

resource "google_secret_manager_secret_iam_member" "integrations_redis_url" {
  secret_id = google_secret_manager_secret.redis_url.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.integrations.member
}

resource "google_project_iam_member" "integrations_traces" {
  project = var.project_id
  role    = "roles/telemetry.tracesWriter"
  member  = google_service_account.integrations.member
}

resource "google_project_iam_member" "integrations_metrics" {
  project = var.project_id
  role    = "roles/telemetry.metricsWriter"
  member  = google_service_account.integrations.member
}
