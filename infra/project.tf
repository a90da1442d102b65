locals {
  apis = [
    "apikeys", "artifactregistry", "cloudbuild", "cloudkms", "cloudresourcemanager", "cloudscheduler", "cloudtrace", "compute",
    "firestore", "iam", "iamcredentials", "identitytoolkit", "logging", "monitoring", "pubsub", "redis", "run",
    "secretmanager", "servicenetworking", "storage", "telemetry",
  ]

  images = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}"

  # Traces and metrics, by OTLP: see shared/telemetry. Where a point comes from, it has to say.
  telemetry_endpoint = "https://telemetry.googleapis.com"
  telemetry_resource = "gcp.project_id=${var.project_id},cloud.platform=gcp_cloud_run,cloud.region=${var.region}"

  token_issuer   = var.token_issuer != "" ? var.token_issuer : "https://securetoken.google.com/${var.project_id}"
  token_audience = var.token_audience != "" ? var.token_audience : var.project_id
}

resource "google_project_service" "apis" {
  for_each = toset(local.apis)

  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

# The accounts that Google's services act as in this project. They come with first use, and are needed before it:
# for the key, and for what Pub/Sub does by itself.
resource "google_project_service_identity" "agents" {
  for_each = toset(["firestore", "pubsub", "redis", "secretmanager"])
  provider = google-beta

  service    = "${each.key}.googleapis.com"
  depends_on = [google_project_service.apis]
}
