output "listen_url" {
  description = "Where devices and apps open their WebSocket."
  value       = "${replace(google_cloud_run_v2_service.listen.uri, "https://", "wss://")}/v4/listen"
}

output "api_url" {
  description = "Where apps ask for conversations."
  value       = google_cloud_run_v2_service.conversations.uri
}

output "dashboard_url" {
  description = "How it is doing."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", google_monitoring_dashboard.earshot.id))[0]}?project=${var.project_id}"
}

output "next_steps" {
  description = "What to do now."
  value       = <<-EOT
    1. Point your apps at the address in listen_url; users sign in with ${local.token_issuer}.
       A user needs a document in Firestore, users/{uid}, which may be empty.
    2. Speak to it:  go run ./scripts/stream FILE --url=(listen_url) --token=(an ID token)
    3. Release what you change:  scripts/deploy --release
    4. See how it is doing: dashboard_url. Alerts go to ${var.alert_email}; what to do about each is in infra/README.md.
  EOT
}
