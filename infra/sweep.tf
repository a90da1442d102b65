resource "google_service_account" "sweep" {
  account_id   = "earshot-sweep"
  display_name = "Ends what was abandoned"
}

# One pass at a time: the lock says so, and one instance is enough for it.
resource "google_cloud_run_v2_service" "sweep" {
  name                = "sweep"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  custom_audiences    = ["earshot-sweep"]
  deletion_protection = var.deletion_protection

  template {
    service_account                  = google_service_account.sweep.email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "60s"
    max_instance_request_concurrency = 4

    scaling {
      min_instance_count = 0
      max_instance_count = 1
    }

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = google_compute_network.earshot.id
        subnetwork = google_compute_subnetwork.services.id
      }
    }

    containers {
      image = "${local.images}/sweep:${var.release}"

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
        value = "earshot-sweep"
      }
      env {
        name  = "PUSH_ACCOUNT"
        value = google_service_account.scheduler.email
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
    google_secret_manager_secret_iam_member.sweep_redis_url,
    google_project_iam_member.sweep_firestore,
    google_secret_manager_secret_version.redis_url,
  ]
}

resource "google_service_account" "scheduler" {
  account_id   = "earshot-scheduler"
  display_name = "Cloud Scheduler's jobs"
}

resource "google_cloud_scheduler_job" "sweep" {
  name             = "sweep"
  region           = var.region
  schedule         = "* * * * *"
  attempt_deadline = "60s"

  http_target {
    http_method = "POST"
    uri         = google_cloud_run_v2_service.sweep.uri
    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = "earshot-sweep"
    }
  }

  # A pass that fails is not repeated: the next one is a minute away.
  retry_config {
    retry_count = 0
  }
  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service_iam_member" "sweep_scheduler" {
  name     = google_cloud_run_v2_service.sweep.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member
}

resource "google_project_iam_member" "sweep_firestore" {
  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.sweep.member
}

resource "google_secret_manager_secret_iam_member" "sweep_redis_url" {
  secret_id = google_secret_manager_secret.redis_url.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.sweep.member
}

resource "google_pubsub_topic_iam_member" "sweep_conversation_ended" {
  topic  = google_pubsub_topic.conversation_ended.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.sweep.member
}

resource "google_pubsub_topic_iam_member" "sweep_conversation_finalized" {
  topic  = google_pubsub_topic.conversation_finalized.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.sweep.member
}

resource "google_project_iam_member" "sweep_traces" {
  project = var.project_id
  role    = "roles/telemetry.tracesWriter"
  member  = google_service_account.sweep.member
}

resource "google_project_iam_member" "sweep_metrics" {
  project = var.project_id
  role    = "roles/telemetry.metricsWriter"
  member  = google_service_account.sweep.member
}
