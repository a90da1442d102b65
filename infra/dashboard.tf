locals {
  # What the dashboard shows, from left to right and from top to bottom: title, filter, aligner and reducer of each.
  charts = [
    ["Sessions held", "resource.type=\"cloud_run_revision\" resource.labels.service_name=\"listen\" metric.type=\"run.googleapis.com/container/max_request_concurrencies\"", "ALIGN_PERCENTILE_99", "REDUCE_SUM", []],
    ["Instances", "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/container/instance_count\"", "ALIGN_MAX", "REDUCE_SUM", ["resource.label.service_name"]],
    ["Sessions ended, by reason", "metric.type=\"logging.googleapis.com/user/${google_logging_metric.session_ended.name}\"", "ALIGN_DELTA", "REDUCE_SUM", ["metric.label.reason"]],
    ["Recogniser's failures", "metric.type=\"logging.googleapis.com/user/${google_logging_metric.recognizer_failed.name}\"", "ALIGN_DELTA", "REDUCE_SUM", ["metric.label.failure"]],
    ["Requests, by service and answer", "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/request_count\"", "ALIGN_RATE", "REDUCE_SUM", ["resource.label.service_name", "metric.label.response_code_class"]],
    ["CPU in use", "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/container/cpu/utilizations\"", "ALIGN_PERCENTILE_99", "REDUCE_MAX", ["resource.label.service_name"]],
    ["Memory in use", "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/container/memory/utilizations\"", "ALIGN_PERCENTILE_99", "REDUCE_MAX", ["resource.label.service_name"]],
    ["Age of the oldest event", "resource.type=\"pubsub_subscription\" metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", "ALIGN_MAX", "REDUCE_MAX", ["resource.label.subscription_id"]],
    ["Conversations finalized", "metric.type=\"logging.googleapis.com/user/${google_logging_metric.conversation_finalized.name}\"", "ALIGN_DELTA", "REDUCE_SUM", []],
    ["Webhooks delivered", "metric.type=\"logging.googleapis.com/user/${google_logging_metric.webhook_delivered.name}\"", "ALIGN_DELTA", "REDUCE_SUM", []],
    ["Webhooks failed", "metric.type=\"logging.googleapis.com/user/${google_logging_metric.webhook_failed.name}\"", "ALIGN_DELTA", "REDUCE_SUM", []],
    ["Redis' memory", "resource.type=\"redis_instance\" metric.type=\"redis.googleapis.com/stats/memory/usage_ratio\"", "ALIGN_MAX", "REDUCE_MAX", []],
  ]
}

resource "google_monitoring_dashboard" "earshot" {
  dashboard_json = jsonencode({
    displayName = "Earshot"
    mosaicLayout = {
      columns = 48
      tiles = [for i, chart in local.charts : {
        xPos   = i % 3 * 16
        yPos   = floor(i / 3) * 16
        width  = 16
        height = 16
        widget = {
          title = chart[0]
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart[1]
                  aggregation = {
                    alignmentPeriod    = "60s"
                    perSeriesAligner   = chart[2]
                    crossSeriesReducer = chart[3]
                    groupByFields      = chart[4]
                  }
                }
              }
            }]
          }
        }
      }]
    }
  })
  depends_on = [google_project_service.apis]
}
