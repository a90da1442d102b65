# What the services' logs are counted by, until they send metrics themselves. The messages are the names of events in
# the code.

resource "google_logging_metric" "session_ended" {
  name   = "earshot/session_ended"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="listen"
    jsonPayload.message="session_ended"
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    labels {
      key = "reason"
    }
  }

  label_extractors = {
    reason = "EXTRACT(jsonPayload.reason)"
  }
  depends_on = [google_project_service.apis]
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

resource "google_logging_metric" "recognizer_failed" {
  name   = "earshot/recognizer_failed"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="listen"
    jsonPayload.message="recognizer_failed"
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    labels {
      key = "failure"
    }
  }

  label_extractors = {
    failure = "EXTRACT(jsonPayload.failure)"
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

resource "google_logging_metric" "conversation_finalized" {
  name   = "earshot/conversation_finalized"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="finalize"
    jsonPayload.message="conversation_finalized"
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
  depends_on = [google_project_service.apis]
}

resource "google_logging_metric" "conversation_failed" {
  name   = "earshot/conversation_failed"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="finalize"
    jsonPayload.message="conversation_failed"
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
  depends_on = [google_project_service.apis]
}

resource "google_logging_metric" "webhook_delivered" {
  name   = "earshot/webhook_delivered"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="integrations"
    jsonPayload.message="webhook_delivered"
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
  depends_on = [google_project_service.apis]
}

resource "google_logging_metric" "webhook_failed" {
  name   = "earshot/webhook_failed"
  filter = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="integrations"
    jsonPayload.message="webhook_failed"
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
