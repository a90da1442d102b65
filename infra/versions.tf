# Works with Terraform and OpenTofu.
terraform {
  required_version = ">= 1.9"

  # scripts/deploy names the bucket. The state holds Redis' password: whoever can read it can read the caches.
  backend "gcs" {
    prefix = "earshot"
  }

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.8"
    }
    # For google_project_service_identity alone.
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 8.8"
    }
    time = {
      source  = "hashicorp/time"
      version = "~> 0.13"
    }
  }
}

# Some APIs (keys, sign-in) want to know whose quota it is where somebody applies with credentials of their own.
provider "google" {
  project               = var.project_id
  region                = var.region
  billing_project       = var.project_id
  user_project_override = true
}

provider "google-beta" {
  project               = var.project_id
  region                = var.region
  billing_project       = var.project_id
  user_project_override = true
}
