# What is counted in the logs although the services send metrics (README.md lists them): what must wake somebody also
# when those don't arrive, or tells of a single case. The messages are the names of events in the code.

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
