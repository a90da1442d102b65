# What is counted in the logs although the services send metrics (README.md lists them): what must wake somebody also
# when those don't arrive, or tells of a single case. The messages are the names of events in the code.

# Cloud Monitoring knows of a metric of logs up to ten minutes after it was made, and takes no alert policy on one that it
# doesn't know. The policies have the names from here, so that they wait, also for a metric that is added. The first time,
# Redis and the services take about as long.
# https://github.com/hashicorp/terraform-provider-google/issues/11102
resource "time_sleep" "metrics" {
  create_duration = "600s"
  triggers = {
    critical         = google_logging_metric.critical.name
    store_failed     = google_logging_metric.store_failed.name
    sweep_done       = google_logging_metric.sweep_done.name
    words_not_stored = google_logging_metric.words_not_stored.name
  }
}

resource "google_logging_metric" "words_not_stored" {
  name   = "earshot/words_not_stored"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="listen"
    jsonPayload.message="words_not_stored"
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
  depends_on = [google_project_service.apis]
}

resource "google_logging_metric" "store_failed" {
  name   = "earshot/store_failed"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="listen"
    jsonPayload.message="store_failed"
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
  depends_on = [google_project_service.apis]
}

resource "google_logging_metric" "sweep_done" {
  name   = "earshot/sweep_done"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="sweep"
    jsonPayload.message="sweep_done"
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
  depends_on = [google_project_service.apis]
}

resource "google_logging_metric" "critical" {
  name   = "earshot/critical"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    severity>=CRITICAL
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    labels {
      key = "service"
    }
  }

  label_extractors = {
    service = "EXTRACT(resource.labels.service_name)"
  }
  depends_on = [google_project_service.apis]
}
