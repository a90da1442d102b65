# From outside, without a token. /healthz can't be asked for: Google's front end keeps it to itself.

# A request that isn't an upgrade is told to be one.
resource "google_monitoring_uptime_check_config" "listen" {
  display_name = "listen"
  period       = "60s"
  timeout      = "10s"

  http_check {
    path         = "/v4/listen"
    port         = 443
    use_ssl      = true
    validate_ssl = true
    accepted_response_status_codes {
      status_value = 426
    }
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project_id
      host       = trimprefix(google_cloud_run_v2_service.listen.uri, "https://")
    }
  }
  depends_on = [google_project_service.apis]
}

# A request without a token is refused.
resource "google_monitoring_uptime_check_config" "conversations" {
  display_name = "conversations"
  period       = "60s"
  timeout      = "10s"

  http_check {
    path         = "/v1/conversations"
    port         = 443
    use_ssl      = true
    validate_ssl = true
    accepted_response_status_codes {
      status_value = 401
    }
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project_id
      host       = trimprefix(google_cloud_run_v2_service.conversations.uri, "https://")
    }
  }
  depends_on = [google_project_service.apis]
}
