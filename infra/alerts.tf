# Somebody is woken for what people feel and what doesn't mend by itself: each policy watches over one of the objectives
# in README.md, which also says what to do. Where a service measures something itself, the metric comes with its first
# point, so that its existence can't be asked for; metrics of logs are known some time after they were made.

resource "google_monitoring_notification_channel" "on_call" {
  display_name = "Earshot on call"
  type         = "email"
  labels = {
    email_address = var.alert_email
  }
  depends_on = [google_project_service.apis]
}

resource "google_monitoring_alert_policy" "unreachable" {
  display_name          = "A service can't be reached"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "reachable" }

  conditions {
    display_name = "listen"
    condition_threshold {
      filter          = "resource.type = \"uptime_url\" AND metric.type = \"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.labels.check_id = \"${google_monitoring_uptime_check_config.listen.uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "120s"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
    }
  }

  conditions {
    display_name = "conversations"
    condition_threshold {
      filter          = "resource.type = \"uptime_url\" AND metric.type = \"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.labels.check_id = \"${google_monitoring_uptime_check_config.conversations.uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "120s"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
    }
  }

  documentation {
    subject = "A service can't be reached"
    content = "Uptime checks fail from two regions or more. What to do: infra/README.md, \"A service can't be reached\"."
  }
}

resource "google_monitoring_alert_policy" "words_lost" {
  display_name          = "Words were lost"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "words_kept" }

  conditions {
    display_name = "words_not_stored"
    condition_threshold {
      filter          = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${time_sleep.metrics.triggers.words_not_stored}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    subject = "Words were lost"
    content = "Words that somebody saw could not be stored. What to do: infra/README.md, \"Words were lost\"."
  }
}

resource "google_monitoring_alert_policy" "critical_error" {
  display_name          = "A critical error"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "words_kept" }

  conditions {
    display_name = "critical"
    condition_threshold {
      filter          = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${time_sleep.metrics.triggers.critical}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["metric.label.service"]
      }
    }
  }

  documentation {
    subject = "A critical error"
    content = "A service logged an error of the highest severity: a panic, or a promise that was broken. What to do: infra/README.md, \"A critical error\"."
  }
}

resource "google_monitoring_alert_policy" "sweep_stopped" {
  display_name          = "The sweep has stopped"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "finalization" }

  conditions {
    display_name = "sweep_done"
    condition_absent {
      filter   = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${time_sleep.metrics.triggers.sweep_done}\""
      duration = "600s"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    subject = "The sweep has stopped"
    content = "No pass of the sweep went without an error for ten minutes: conversations that were abandoned don't end, and events that were missed stay untold. What to do: infra/README.md, \"The sweep has stopped\"."
  }
}

resource "google_monitoring_alert_policy" "sweep_failing" {
  display_name          = "The sweep fails"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "finalization" }

  # It is called once a minute.
  conditions {
    display_name = "5xx"
    condition_threshold {
      filter          = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.sweep.name}\" AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      comparison      = "COMPARISON_GT"
      threshold_value = 3
      duration        = "0s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    subject = "The sweep fails"
    content = "Over three of five passes of the sweep failed, or a conversation did in each. What to do: infra/README.md, \"The sweep fails\"."
  }
}

resource "google_monitoring_alert_policy" "errors" {
  display_name          = "Requests fail"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "reachable" }

  conditions {
    display_name = "listen"
    condition_threshold {
      filter             = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.listen.name}\" AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      denominator_filter = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.listen.name}\" AND metric.type = \"run.googleapis.com/request_count\""
      comparison         = "COMPARISON_GT"
      threshold_value    = 0.01
      duration           = "600s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
      }
      denominator_aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  conditions {
    display_name = "conversations"
    condition_threshold {
      filter             = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.conversations.name}\" AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      denominator_filter = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.conversations.name}\" AND metric.type = \"run.googleapis.com/request_count\""
      comparison         = "COMPARISON_GT"
      threshold_value    = 0.01
      duration           = "600s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
      }
      denominator_aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    subject = "Requests fail"
    content = "Over 1 % of the requests of a public service were answered with 5xx for ten minutes. What to do: infra/README.md, \"Requests fail\"."
  }
}

resource "google_monitoring_alert_policy" "recognizer_failing" {
  display_name          = "The recogniser fails"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "sessions" }

  conditions {
    display_name = "recognizer_failed"
    condition_prometheus_query_language {
      query                     = "sum(increase({\"earshot.session.ended\", reason=\"recognizer_failed\"}[5m])) > 20"
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "The recogniser fails"
    content = "Speech recognition failed over 20 times within five minutes: people speak, and see no words. What to do: infra/README.md, \"The recogniser fails\"."
  }
}

resource "google_monitoring_alert_policy" "store_failing" {
  display_name          = "The store fails"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "sessions" }

  conditions {
    display_name = "store_failed"
    condition_threshold {
      filter          = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${time_sleep.metrics.triggers.store_failed}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 20
      duration        = "0s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    subject = "The store fails"
    content = "Sessions could not write to Firestore over 20 times within five minutes. They hold on to what was said, and try again. What to do: infra/README.md, \"The store fails\"."
  }
}

resource "google_monitoring_alert_policy" "finalization_failing" {
  display_name          = "Conversations can't be finalized"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "finalization" }

  conditions {
    display_name = "failed"
    condition_prometheus_query_language {
      query                     = "sum(increase({\"earshot.finalization.attempts\", outcome=\"failed\"}[1h])) > 5"
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "Conversations can't be finalized"
    content = "Over five conversations failed for good within an hour. What to do: infra/README.md, \"Conversations can't be finalized\"."
  }
}

resource "google_monitoring_alert_policy" "events_waiting" {
  display_name          = "Events wait"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "deliveries" }

  conditions {
    display_name = "oldest event"
    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id != \"${google_pubsub_subscription.dead_letter.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      comparison      = "COMPARISON_GT"
      threshold_value = 600
      duration        = "300s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  # These two keep events for ten minutes alone: what waits for longer is gone, before it is too old for the condition
  # above or becomes a dead letter.
  conditions {
    display_name = "oldest event that is soon gone"
    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.transcript_appended_integrations.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      comparison      = "COMPARISON_GT"
      threshold_value = 120
      duration        = "120s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
  conditions {
    display_name = "oldest audio that is soon gone"
    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.audio_appended_integrations.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      comparison      = "COMPARISON_GT"
      threshold_value = 120
      duration        = "120s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    subject = "Events wait"
    content = "An event has waited for over ten minutes to be taken, or one of a subscription that keeps them no longer for over two. What to do: infra/README.md, \"Events wait\"."
  }
}

resource "google_monitoring_alert_policy" "dead_letters" {
  display_name          = "There are dead letters"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "deliveries" }

  conditions {
    display_name = "dead letters"
    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead_letter.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "300s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    subject = "There are dead letters"
    content = "An event could not be taken in 20 attempts, and is kept aside. What to do: infra/README.md, \"There are dead letters\"."
  }
}

resource "google_monitoring_alert_policy" "listen_full" {
  display_name          = "Sessions run out of room"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "sessions" }

  conditions {
    display_name = "instances"
    condition_threshold {
      filter          = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.listen.name}\" AND metric.type = \"run.googleapis.com/container/instance_count\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0.8 * var.listen_max_instances
      duration        = "300s"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    subject = "Sessions run out of room"
    content = "Listen has over 80 % of the instances that it may have. What to do: infra/README.md, \"Sessions run out of room\"."
  }
}

resource "google_monitoring_alert_policy" "redis_full" {
  display_name          = "Redis runs out of memory"
  severity              = "WARNING"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "lag" }

  conditions {
    display_name = "memory"
    condition_threshold {
      filter          = "resource.type = \"redis_instance\" AND resource.labels.instance_id = \"${google_redis_instance.earshot.id}\" AND metric.type = \"redis.googleapis.com/stats/memory/usage_ratio\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0.9
      duration        = "900s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    subject = "Redis runs out of memory"
    content = "Redis uses over 90 % of its memory, and drops what is in use. What to do: infra/README.md, \"Redis runs out of memory\"."
  }
}

resource "google_monitoring_alert_policy" "redis_unreachable" {
  display_name          = "Redis can't be reached"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "lag" }

  # A failover takes less.
  conditions {
    display_name = "failed calls of caches"
    condition_prometheus_query_language {
      query                     = "sum(increase({\"earshot.cache.redis_errors\"}[2m])) > 10"
      duration                  = "300s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "Redis can't be reached"
    content = "Calls to Redis have failed for five minutes: caches ask Firestore, and work isn't locked. What to do: infra/README.md, \"Redis can't be reached\"."
  }
}

resource "google_monitoring_alert_policy" "words_late" {
  display_name          = "Words are stored late"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "lag" }

  conditions {
    display_name = "word to durable"
    condition_prometheus_query_language {
      query                     = "histogram_quantile(0.95, sum by (le) (rate({\"earshot.lag.word_to_durable_bucket\"}[5m]))) > 5"
      duration                  = "600s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "Words are stored late"
    content = "One in twenty words has waited for over 5 s to be stored, for ten minutes. What to do: infra/README.md, \"Words are stored late\"."
  }
}

resource "google_monitoring_alert_policy" "finalization_late" {
  display_name          = "Conversations are finalized late"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "finalization" }

  conditions {
    display_name = "end to completion"
    condition_prometheus_query_language {
      query                     = "histogram_quantile(0.9, sum by (le) (rate({\"earshot.finalization.age_bucket\"}[30m]))) > 600"
      duration                  = "600s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "Conversations are finalized late"
    content = "One in ten conversations took over ten minutes from its end to its completion. What to do: infra/README.md, \"Conversations are finalized late\"."
  }
}

resource "google_monitoring_alert_policy" "overdue" {
  display_name          = "Something is long overdue"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "finalization" }

  conditions {
    display_name = "oldest"
    condition_prometheus_query_language {
      query                     = "max by (kind) ({\"earshot.sweep.oldest\"}) > 900"
      duration                  = "600s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "Something is long overdue"
    content = "The sweep finds things that should have happened over 15 minutes ago, and they stay. What to do: infra/README.md, \"Something is long overdue\"."
  }
}

resource "google_monitoring_alert_policy" "sessions_failing" {
  display_name          = "Sessions fail"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "sessions" }

  conditions {
    display_name = "share that we ended"
    condition_prometheus_query_language {
      query                     = "(sum(increase({\"earshot.session.ended\", reason=~\"recognizer_failed|store_failed\"}[30m])) / sum(increase({\"earshot.session.ended\"}[30m])) > 0.05) and sum(increase({\"earshot.session.ended\"}[30m])) > 20"
      duration                  = "300s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "Sessions fail"
    content = "Of the sessions that ended within half an hour, over 5 % did because we could not go on: ten times what the objective allows. What to do: infra/README.md, \"Sessions fail\"."
  }
}

resource "google_monitoring_alert_policy" "sessions_refused" {
  display_name          = "Sessions are refused"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "sessions" }

  conditions {
    display_name = "refused"
    condition_prometheus_query_language {
      query                     = "sum(increase({\"earshot.session.refused\"}[5m])) > 5"
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "Sessions are refused"
    content = "Over five sessions were refused within five minutes for want of room. What to do: infra/README.md, \"Sessions are refused\"."
  }
}

resource "google_monitoring_alert_policy" "words_slow" {
  display_name          = "Words come late"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "lag" }

  conditions {
    display_name = "speech to word"
    condition_prometheus_query_language {
      query                     = "histogram_quantile(0.5, sum by (le) (rate({\"earshot.lag.audio_to_word_bucket\", kind=\"interim\"}[10m]))) > 2"
      duration                  = "600s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "Words come late"
    content = "Half of the words came over 2 s after they were said, for ten minutes. What to do: infra/README.md, \"Words come late\"."
  }
}

resource "google_monitoring_alert_policy" "deliveries_failing" {
  display_name          = "Deliveries fail"
  severity              = "ERROR"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  user_labels           = { objective = "deliveries" }

  conditions {
    display_name = "share that failed"
    condition_prometheus_query_language {
      query                     = "(sum(rate({\"earshot.delivery.attempts\", outcome=\"failed\"}[30m])) / sum(rate({\"earshot.delivery.attempts\"}[30m])) > 0.5) and sum(increase({\"earshot.delivery.attempts\"}[30m])) > 20"
      duration                  = "1800s"
      evaluation_interval       = "60s"
      disable_metric_validation = true # it exists from the first point on
    }
  }

  documentation {
    subject = "Deliveries fail"
    content = "Over half of the attempts to deliver failed for half an hour, of all receivers together: that is hardly the receivers. What to do: infra/README.md, \"Deliveries fail\"."
  }
}
