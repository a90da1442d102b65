package infralint

import (
	"fmt"
	"strings"
)

// Redis takes nobody without the password and shows who it is; each service that asks it has the password from Secret
// Manager and the certificates, is on the network, and speaks TLS.
func checkRedis(s system) []string {
	var found []string
	for _, b := range s.module.of("google_redis_instance") {
		for name, want := range map[string]string{
			"auth_enabled": "true", "transit_encryption_mode": "SERVER_AUTHENTICATION",
			"tier": "STANDARD_HA", "connect_mode": "PRIVATE_SERVICE_ACCESS",
		} {
			if got := b.value(name); got != want {
				found = append(found, fmt.Sprintf("%s: %s: got %q, want %q", b, name, got, want))
			}
		}
		found = append(found, s.checkRedisURL(b)...)
		if ca := s.module.local("redis_ca"); !strings.Contains(ca, b.address()+".server_ca_certs") {
			found = append(found, fmt.Sprintf("%s: local.redis_ca is %s, which isn't its certificates", b, ca))
		}
	}
	for _, b := range s.module.of(serviceType) {
		variables := map[string]block{}
		for _, variable := range b.all("template", "containers", "env") {
			variables[variable.value("name")] = variable
		}
		url, asks := variables["REDIS_URL"]
		if !asks {
			continue // checkEnvironment says whether it has to
		}
		if got := resource(url.at("value_source.secret_key_ref.secret"), "google_secret_manager_secret"); got != "redis_url" {
			found = append(found, fmt.Sprintf("%s: has REDIS_URL from the secret %q, want redis_url", b, got))
		}
		if ca := variables["REDIS_CA"]; ca.Block == nil || ca.value("value") != "local.redis_ca" {
			found = append(found, fmt.Sprintf("%s: asks Redis without REDIS_CA, so can't know whom it asks", b))
		}
		if b.at("template.vpc_access.network_interfaces.subnetwork") != "google_compute_subnetwork.services.id" {
			found = append(found, fmt.Sprintf("%s: asks Redis, and isn't on its network", b))
		}
	}
	return found
}

// The address that services get is TLS's, with the password, of this very instance.
func (s system) checkRedisURL(instance block) []string {
	version, ok := s.module.find("google_secret_manager_secret_version", "redis_url")
	if !ok || version.value("secret") != "google_secret_manager_secret.redis_url.id" {
		return []string{fmt.Sprintf("%s: nothing puts its address into the secret redis_url", instance)}
	}
	var found []string
	for _, part := range []string{`"rediss://:%s@`, instance.address() + ".auth_string", instance.address() + ".host", instance.address() + ".port"} {
		if !strings.Contains(version.value("secret_data"), part) {
			found = append(found, fmt.Sprintf("%s: the address of Redis has no %s", version, part))
		}
	}
	return found
}
