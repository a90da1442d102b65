package infralint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// targets says which attribute of a grant names what it is on. On the whole project there is one role at most.
var targets = map[string]struct{ attribute, kind string }{
	"google_project_iam_member":               {"project", ""},
	"google_pubsub_topic_iam_member":          {"topic", "google_pubsub_topic"},
	"google_pubsub_subscription_iam_member":   {"subscription", "google_pubsub_subscription"},
	"google_secret_manager_secret_iam_member": {"secret_id", "google_secret_manager_secret"},
	"google_cloud_run_v2_service_iam_member":  {"name", serviceType},
	"google_storage_bucket_iam_member":        {"bucket", "google_storage_bucket"},
	"google_service_account_iam_member":       {"service_account_id", "google_service_account"},
	"google_kms_crypto_key_iam_member":        {"crypto_key_id", "google_kms_crypto_key"},
	"google_artifact_registry_repository_iam_member": {
		"repository", "google_artifact_registry_repository",
	},
}

// A function's account may do what its code does, and nothing else; and those who call it may call it.
func checkGrants(s system) []string {
	var found []string
	want, got := map[string]bool{}, map[string]bool{}
	for _, function := range s.code.functions() {
		maps.Copy(want, s.wantedGrants(function))
	}
	for _, b := range s.module.blocks {
		if b.Type != "resource" || !strings.Contains(b.Labels[0], "_iam_") {
			continue
		}
		target, known := targets[b.Labels[0]]
		if !known {
			found = append(found, fmt.Sprintf("%s: there is no rule for a %s", b, b.Labels[0]))
			continue
		}
		member := strings.TrimSuffix(b.value("member"), ".member")
		who := resource(member, "google_service_account")
		called := target.kind == serviceType
		if !called && !slices.Contains(s.code.functions(), who) {
			continue // of nobody's who runs our code
		}
		on := "the project"
		if target.kind != "" {
			on = target.kind + "." + resource(b.value(target.attribute), target.kind)
		}
		got[fmt.Sprintf("%s for %s on %s", b.value("role"), member, on)] = true
	}
	return append(found, differ("the grant", want, got)...)
}

func (s system) wantedGrants(function string) map[string]bool {
	want := map[string]bool{}
	self, service := "google_service_account."+function, serviceType+"."+function
	grant := func(role, member, on string) { want[fmt.Sprintf("%s for %s on %s", role, member, on)] = true }
	main := s.code.main(function)
	if main.imports("shared/store") {
		grant("roles/datastore.user", self, "the project")
	}
	if main.imports("shared/telemetry") {
		grant("roles/telemetry.tracesWriter", self, "the project")
		grant("roles/telemetry.metricsWriter", self, "the project")
	}
	if main.imports("shared/publisher") {
		for _, topic := range s.code.published(function) {
			grant("roles/pubsub.publisher", self, "google_pubsub_topic."+strings.ReplaceAll(topic, "-", "_"))
		}
	}
	settings, err := s.code.settings("functions/"+function, "config")
	if err != nil {
		return nil // checkEnvironment tells
	}
	for _, setting := range settings {
		if secret.MatchString(setting.name) {
			grant("roles/secretmanager.secretAccessor", self, "google_secret_manager_secret."+strings.ToLower(setting.name))
		}
	}
	switch {
	case slices.ContainsFunc(settings, func(s setting) bool { return s.name == "TOKEN_ISSUER" }):
		grant("roles/run.invoker", "allUsers", service) // it verifies users itself
	case len(s.code.handled(function)) > 0:
		grant("roles/run.invoker", "google_service_account.push", service)
	default:
		grant("roles/run.invoker", "google_service_account.scheduler", service)
	}
	return want
}
