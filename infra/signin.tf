# Users sign in with Identity Platform, unless tokens of another issuer are taken.
resource "google_identity_platform_config" "default" {
  count = var.enable_sign_in ? 1 : 0

  project    = var.project_id
  depends_on = [google_project_service.apis]
}

# The user whom scripts/smoke speaks as. Cloud Build signs a custom token for it, and Identity Platform gives an ID token
# for that: there is no password anywhere.
# https://firebase.google.com/docs/auth/admin/create-custom-tokens#create_custom_tokens_using_a_third-party_jwt_library
resource "google_firestore_document" "smoke_test" {
  database    = google_firestore_database.default.name
  collection  = "users"
  document_id = "smoke-test"
  fields      = jsonencode({ language = { stringValue = "en" } })
}

resource "google_service_account_iam_member" "build_signs" {
  service_account_id = google_service_account.build.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.build.member
}

# The name of a key can't be had again for 30 days after it was deleted, so each project that is set up anew has its own.
resource "terraform_data" "setup" {}

resource "google_apikeys_key" "smoke_test" {
  name            = "earshot-smoke-test-${substr(terraform_data.setup.id, 0, 8)}"
  display_name    = "Sign-in of the smoke test"
  deletion_policy = "FORCE" # also where it was used in the last seven days, as it is by each release

  restrictions {
    api_targets {
      service = "identitytoolkit.googleapis.com"
    }
  }
  depends_on = [google_project_service.apis]
}

resource "google_secret_manager_secret" "sign_in_api_key" {
  secret_id = "sign-in-api-key"

  replication {
    user_managed {
      replicas {
        location = var.region
        customer_managed_encryption {
          kms_key_name = google_kms_crypto_key.data.id
        }
      }
    }
  }
  depends_on = [time_sleep.key]
}

resource "google_secret_manager_secret_version" "sign_in_api_key" {
  secret      = google_secret_manager_secret.sign_in_api_key.id
  secret_data = google_apikeys_key.smoke_test.key_string
}

resource "google_secret_manager_secret_iam_member" "build_sign_in_api_key" {
  secret_id = google_secret_manager_secret.sign_in_api_key.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.build.member
}
