# A network for one purpose: services reach Redis by its private address. Everything else goes out as usual.
resource "google_compute_network" "earshot" {
  name                    = "earshot"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.apis]
}

# Direct VPC egress takes up to two addresses an instance, for some time after it has gone.
# https://cloud.google.com/run/docs/configuring/vpc-direct-vpc#ip-address-allocation
resource "google_compute_subnetwork" "services" {
  name                     = "services"
  network                  = google_compute_network.earshot.id
  region                   = var.region
  ip_cidr_range            = "10.10.0.0/22"
  private_ip_google_access = true
}

resource "google_compute_global_address" "managed" {
  name          = "managed"
  network       = google_compute_network.earshot.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "managed" {
  network                 = google_compute_network.earshot.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.managed.name]
}
