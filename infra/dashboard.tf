locals {
  # What the dashboard shows, from left to right and from top to bottom: what the services measure (README.md lists it),
  # with title and PromQL, and
  measured = [
    ["Sessions open", "sum({\"earshot.session.open\"})"],
    ["Sessions ended, by reason", "sum by (reason) (increase({\"earshot.session.ended\"}[1m]))"],
    ["Frames received", "sum(increase({\"earshot.frame.received\"}[1m]))"],
    ["Frames dropped, by reason", "sum by (reason) (increase({\"earshot.drop\"}[1m]))"],
    ["From speech to words, 95 %", "histogram_quantile(0.95, sum by (le, kind) (rate({\"earshot.lag.audio_to_word_bucket\"}[5m])))"],
    ["From words to the store, 99 %", "histogram_quantile(0.99, sum by (le) (rate({\"earshot.lag.word_to_durable_bucket\"}[5m])))"],
    ["Recognisers' failures", "sum by (recognizer, failure) (increase({\"earshot.recognizer.failures\"}[1m]))"],
    ["Failovers, by the recogniser that was left", "sum by (recognizer) (increase({\"earshot.recognizer.failovers\"}[1m]))"],
    ["Conversations finalized, by outcome", "sum by (outcome) (increase({\"earshot.finalization.attempts\"}[1m]))"],
    ["From end to completion, 95 %", "histogram_quantile(0.95, sum by (le) (rate({\"earshot.finalization.age_bucket\"}[5m])))"],
    ["Summarizing, 95 %", "histogram_quantile(0.95, sum by (le, summarizer) (rate({\"earshot.summary.duration_bucket\"}[5m])))"],
    ["Oldest that the sweep found", "max by (kind) ({\"earshot.sweep.oldest\"})"],
    ["Webhooks, by webhook and outcome", "sum by (webhook, outcome) (increase({\"earshot.delivery.attempts\"}[1m]))"],
    ["Cache lookups that cost a load", "sum by (cache) (rate({\"earshot.cache.lookups\", answer=\"miss\"}[5m])) / sum by (cache) (rate({\"earshot.cache.lookups\"}[5m]))"],
    ["Locks, by outcome", "sum by (outcome) (rate({\"earshot.lock.calls\"}[5m]))"],
    ["Speech counted, hours a minute", "sum(increase({\"earshot.usage.speech\"}[1m])) / 3600"],
  ]

  # what Google Cloud measures: title, filter, aligner, reducer and groups of each.
  charts = [
    ["Instances", "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/container/instance_count\"", "ALIGN_MAX", "REDUCE_SUM", ["resource.label.service_name"]],
    ["Requests, by service and answer", "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/request_count\"", "ALIGN_RATE", "REDUCE_SUM", ["resource.label.service_name", "metric.label.response_code_class"]],
    ["CPU in use", "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/container/cpu/utilizations\"", "ALIGN_PERCENTILE_99", "REDUCE_MAX", ["resource.label.service_name"]],
    ["Memory in use", "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/container/memory/utilizations\"", "ALIGN_PERCENTILE_99", "REDUCE_MAX", ["resource.label.service_name"]],
    ["Age of the oldest event", "resource.type=\"pubsub_subscription\" metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", "ALIGN_MAX", "REDUCE_MAX", ["resource.label.subscription_id"]],
    ["Redis' memory", "resource.type=\"redis_instance\" metric.type=\"redis.googleapis.com/stats/memory/usage_ratio\"", "ALIGN_MAX", "REDUCE_MAX", []],
  ]

  tiles = concat(
    [for c in local.measured : { title = c[0], query = { prometheusQuery = c[1] } }],
    [for c in local.charts : { title = c[0], query = { timeSeriesFilter = {
      filter = c[1]
      aggregation = {
        alignmentPeriod    = "60s"
        perSeriesAligner   = c[2]
        crossSeriesReducer = c[3]
        groupByFields      = c[4]
      }
    } } }],
  )
}

resource "google_monitoring_dashboard" "earshot" {
  dashboard_json = jsonencode({
    displayName = "Earshot"
    mosaicLayout = {
      columns = 48
      tiles = [for i, tile in local.tiles : {
        xPos   = i % 3 * 16
        yPos   = floor(i / 3) * 16
        width  = 16
        height = 16
        widget = {
          title = tile.title
          xyChart = {
            dataSets = [{
              plotType        = "LINE"
              timeSeriesQuery = tile.query
            }]
          }
        }
      }]
    }
  })
  depends_on = [google_project_service.apis]
}
