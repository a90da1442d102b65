variable "project_id" {
  description = "Project that everything is in. It should hold nothing else: the default Firestore database is Earshot's."
  type        = string
}

variable "region" {
  description = "Region of everything, conversations included. It can't be changed later."
  type        = string
  default     = "us-central1"
}

variable "release" {
  description = "Tag of the images that services are created with. Releases after that are Cloud Build's: see cloudbuild.yaml."
  type        = string
}

variable "alert_email" {
  description = "Who is told by alert policies."
  type        = string
}

variable "token_issuer" {
  description = "The iss of users' ID tokens. Empty: that of this project's Identity Platform, which is Firebase Authentication's too."
  type        = string
  default     = ""
}

variable "token_audience" {
  description = "The aud of users' ID tokens. Empty: this project."
  type        = string
  default     = ""
}

variable "token_keys_url" {
  description = "JSON Web Key Set of the issuer."
  type        = string
  default     = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
}

variable "enable_sign_in" {
  description = "Whether to turn on Identity Platform. False where Firebase Authentication is on already: that can't be done twice."
  type        = bool
  default     = true
}

variable "listen_min_instances" {
  description = "Instances of listen that are always there. With 0, the first words of the day wait for one to start."
  type        = number
  default     = 1
}

variable "listen_max_instances" {
  description = "The most instances of listen, 200 sessions each."
  type        = number
  default     = 30
}

variable "redis_memory_gb" {
  description = "Memory of Redis, in GB. It holds caches and locks, and evicts what is old."
  type        = number
  default     = 1
}

variable "trace_ratio" {
  description = "How many traces are kept, 0 to 1: of sessions, with all that follows from them."
  type        = number
  default     = 0.01
}

variable "deletion_protection" {
  description = "Whether the database and the services refuse to be destroyed. scripts/deploy --destroy turns it off first."
  type        = bool
  default     = true
}
