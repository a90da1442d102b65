# One topic for each type of event. Each subscription is in the file of the service that it pushes to.

resource "google_pubsub_topic" "conversation_ended" {
  name         = "conversation-ended"
  kms_key_name = google_kms_crypto_key.data.id
  depends_on   = [time_sleep.key]
}

resource "google_pubsub_topic" "conversation_finalized" {
  name         = "conversation-finalized"
  kms_key_name = google_kms_crypto_key.data.id
  depends_on   = [time_sleep.key]
}

resource "google_pubsub_topic" "transcript_appended" {
  name         = "transcript-appended"
  kms_key_name = google_kms_crypto_key.data.id
  depends_on   = [time_sleep.key]
}

resource "google_pubsub_topic" "audio_appended" {
  name         = "audio-appended"
  kms_key_name = google_kms_crypto_key.data.id
  depends_on   = [time_sleep.key]
}

resource "google_pubsub_topic" "usage_recorded" {
  name         = "usage-recorded"
  kms_key_name = google_kms_crypto_key.data.id
  depends_on   = [time_sleep.key]
}

# What nobody could take after 20 deliveries. It is looked at by people: see README.md.
resource "google_pubsub_topic" "dead_letter" {
  name         = "dead-letter"
  kms_key_name = google_kms_crypto_key.data.id
  depends_on   = [time_sleep.key]
}

resource "google_pubsub_subscription" "dead_letter" {
  name                       = "dead-letter"
  topic                      = google_pubsub_topic.dead_letter.id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s" # 31 days, the most there is

  expiration_policy {
    ttl = "" # never
  }
}

resource "google_pubsub_topic_iam_member" "dead_letter" {
  topic  = google_pubsub_topic.dead_letter.id
  role   = "roles/pubsub.publisher"
  member = google_project_service_identity.agents["pubsub"].member
}

# Whom push subscriptions call as. Each service that takes pushes lets in this account and no other.
resource "google_service_account" "push" {
  account_id   = "earshot-push"
  display_name = "Pub/Sub's push subscriptions"
}

# Pub/Sub makes the tokens of that account.
resource "google_service_account_iam_member" "push_tokens" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_project_service_identity.agents["pubsub"].member
}
