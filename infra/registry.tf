resource "google_artifact_registry_repository" "images" {
  repository_id = "earshot"
  location      = var.region
  format        = "DOCKER"

  # What is rolled back to is kept; what nobody runs goes after a month.
  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }
  cleanup_policies {
    id     = "drop-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }
  depends_on = [google_project_service.apis]
}
