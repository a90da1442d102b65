# One key for what is kept of conversations: documents, messages, caches, and the secrets. Without it nothing can be
# read, so destroying its versions destroys the data.
resource "google_kms_key_ring" "earshot" {
  name       = "earshot"
  location   = var.region
  depends_on = [google_project_service.apis]
}

resource "google_kms_crypto_key" "data" {
  name            = "data"
  key_ring        = google_kms_key_ring.earshot.id
  rotation_period = "7776000s" # 90 days
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = google_project_service_identity.agents

  crypto_key_id = google_kms_crypto_key.data.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value.member
}

# A grant takes up to some minutes to be known everywhere, usually two; who uses the key before that is refused.
# https://cloud.google.com/iam/docs/access-change-propagation
resource "time_sleep" "key" {
  create_duration = "120s"
  triggers = {
    agents = join(",", keys(google_kms_crypto_key_iam_member.agents))
  }
  depends_on = [google_kms_crypto_key_iam_member.agents]
}
