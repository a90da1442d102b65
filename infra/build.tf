# Whom Cloud Build acts as: it pushes images, deploys revisions and moves traffic, and can change nothing else.
resource "google_service_account" "build" {
  account_id   = "earshot-build"
  display_name = "Builds and releases"
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/run.developer"])

  project = var.project_id
  role    = each.key
  member  = google_service_account.build.member
}

# To deploy a service is to act as its account.
resource "google_service_account_iam_member" "build" {
  for_each = {
    conversations = google_service_account.conversations.name
    finalize      = google_service_account.finalize.name
    integrations  = google_service_account.integrations.name
    listen        = google_service_account.listen.name
    sweep         = google_service_account.sweep.name
    usage         = google_service_account.usage.name
  }

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.build.member
}

# What is to be built is uploaded here.
resource "google_storage_bucket" "source" {
  name                        = "${var.project_id}-earshot-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  lifecycle_rule {
    condition {
      age = 7
    }
    action {
      type = "Delete"
    }
  }
  depends_on = [google_project_service.apis]
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}
