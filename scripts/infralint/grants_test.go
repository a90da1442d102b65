package infralint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
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

// grants are sentences such as "roles/run.invoker for google_service_account.push on google_cloud_run_v2_service.usage".
type grants map[string]bool

func (g grants) add(role, member, on string) {
	g[fmt.Sprintf("%s for %s on %s", role, member, on)] = true
}

// Everybody may do what their part is, and nothing else: the accounts of functions what their code does, those who call
// them to call them, Pub/Sub and the other agents of Google's what they do by themselves, and the build what its steps do.
func checkGrants(s system) []string {
	var found []string
	want, got := grants{}, grants{}
	for _, function := range s.code.functions() {
		maps.Copy(want, s.functionGrants(function))
	}
	maps.Copy(want, s.agentGrants())
	maps.Copy(want, s.buildGrants())
	for _, b := range s.module.blocks {
		if b.Type != "resource" || !strings.Contains(b.Labels[0], "_iam_") {
			continue
		}
		target, known := targets[b.Labels[0]]
		if !known {
			found = append(found, fmt.Sprintf("%s: there is no rule for a %s", b, b.Labels[0]))
			continue
		}
		for _, one := range s.module.instances(b) {
			on := "the project"
			if target.kind != "" {
				on = target.kind + "." + resource(one.value(target.attribute), target.kind)
			}
			got.add(one.value("role"), strings.TrimSuffix(one.value("member"), ".member"), on)
		}
	}
	return append(found, differ("the grant", want, got)...)
}

func (s system) functionGrants(function string) grants {
	want := grants{}
	self, service := "google_service_account."+function, serviceType+"."+function
	main := s.code.main(function)
	if main.imports("shared/store") {
		want.add("roles/datastore.user", self, "the project")
	}
	if main.imports("shared/telemetry") {
		want.add("roles/telemetry.tracesWriter", self, "the project")
		want.add("roles/telemetry.metricsWriter", self, "the project")
	}
	if main.imports("shared/publisher") {
		for _, topic := range s.code.published(function) {
			want.add("roles/pubsub.publisher", self, "google_pubsub_topic."+strings.ReplaceAll(topic, "-", "_"))
		}
	}
	settings, err := s.code.settings("functions/"+function, "config")
	if err != nil {
		return nil // checkEnvironment tells
	}
	for _, setting := range settings {
		if secret.MatchString(setting.name) {
			want.add("roles/secretmanager.secretAccessor", self, "google_secret_manager_secret."+strings.ToLower(setting.name))
		}
	}
	switch {
	case verifies(settings):
		// It verifies users itself, and asks nobody for a grant: see checkInvokers.
	case len(s.code.handled(function)) > 0:
		want.add("roles/run.invoker", "google_service_account.push", service)
	default:
		want.add("roles/run.invoker", "google_service_account.scheduler", service)
	}
	return want
}

// verifies reports whether a function with the settings verifies users itself.
func verifies(settings []setting) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return s.name == "TOKEN_ISSUER" })
}

// Who verifies users itself lets in those whom Cloud Run doesn't know, and nobody else does. A grant to allUsers is refused
// in organisations made since May 2024
// (https://cloud.google.com/resource-manager/docs/secure-by-default-organizations).
func checkInvokers(s system) []string {
	var found []string
	for _, b := range s.module.of(serviceType) {
		settings, err := s.code.settings("functions/"+b.name(), "config")
		if err != nil {
			continue // checkEnvironment tells
		}
		if open := b.value("invoker_iam_disabled") == "true"; open != verifies(settings) {
			found = append(found, fmt.Sprintf("%s: may be called by anybody %v, verifies users %v", b, open, verifies(settings)))
		}
	}
	for _, b := range s.module.blocks {
		for _, everybody := range []string{"allUsers", "allAuthenticatedUsers"} {
			if b.Type == "resource" && b.value("member") == everybody {
				found = append(found, fmt.Sprintf("%s: %s may be refused by the organisation", b, everybody))
			}
		}
	}
	return found
}

// Who uses the key waits until Google's agents may: a grant is not known everywhere at once.
func checkKey(s system) []string {
	var found []string
	names := map[string]bool{}
	if sleep, ok := s.module.find("time_sleep", "key"); ok && sleep.value("create_duration") == "120s" {
		references(sleep.Body.Attributes["depends_on"].Expr, names)
	}
	if !names["google_kms_crypto_key_iam_member.agents"] {
		found = append(found, "nobody waits the two minutes until the agents' grant on the key is known")
	}
	for _, b := range s.module.blocks {
		if b.Type != "resource" || keyed[b.Labels[0]] == "" {
			continue
		}
		names := map[string]bool{}
		references(b.Block, names)
		if names["google_kms_crypto_key.data"] && !names["time_sleep.key"] {
			found = append(found, fmt.Sprintf("%s: doesn't wait for the agents' grant on the key: depend on time_sleep.key", b))
		}
	}
	return found
}

func agent(service string) string {
	return fmt.Sprintf("google_project_service_identity.agents[%q]", service)
}

// keyed says whose agent uses the key that a resource names.
var keyed = map[string]string{
	"google_firestore_database":    "firestore",
	"google_pubsub_topic":          "pubsub",
	"google_redis_instance":        "redis",
	"google_secret_manager_secret": "secretmanager",
}

// agentGrants are those of Google's own accounts. Pub/Sub takes what nobody took from its subscription, publishes it as a
// dead letter, and makes the tokens that it calls with. What is encrypted with a key of ours is so by its service.
// https://cloud.google.com/pubsub/docs/handling-failures#grant_forwarding_permissions
// https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions#configure_for_push_authentication
func (s system) agentGrants() grants {
	want := grants{}
	for _, b := range s.module.of("google_pubsub_subscription") {
		topic := resource(b.at("dead_letter_policy.dead_letter_topic"), "google_pubsub_topic")
		if topic != "" {
			want.add("roles/pubsub.subscriber", agent("pubsub"), b.address())
			want.add("roles/pubsub.publisher", agent("pubsub"), "google_pubsub_topic."+topic)
		}
		account := resource(b.at("push_config.oidc_token.service_account_email"), "google_service_account")
		if account != "" {
			want.add("roles/iam.serviceAccountTokenCreator", agent("pubsub"), "google_service_account."+account)
		}
	}
	for _, b := range s.module.blocks {
		names := map[string]bool{}
		references(b.Block, names)
		for name := range names {
			if strings.HasPrefix(name, "google_kms_crypto_key.") && b.Type == "resource" && !strings.Contains(b.Labels[0], "_iam_") {
				want.add("roles/cloudkms.cryptoKeyEncrypterDecrypter", agent(keyed[b.Labels[0]]), name)
			}
		}
	}
	return want
}

// buildGrants are those of the account that cloudbuild.yaml runs as, by what its steps do.
func (s system) buildGrants() grants {
	const build = "google_service_account.build"
	want := grants{}
	for _, step := range []struct{ does, role, on string }{
		{"gs://", "roles/storage.objectViewer", "google_storage_bucket.source"}, // scripts/deploy uploads what is built
		{"CLOUD_LOGGING_ONLY", "roles/logging.logWriter", "the project"},
		{"scripts/images", "roles/artifactregistry.writer", "google_artifact_registry_repository.images"},
		{"scripts/release", "roles/run.developer", "the project"},
		{"scripts/smoke --account", "roles/iam.serviceAccountTokenCreator", build}, // it signs as itself
	} {
		if strings.Contains(s.build+s.deploy, step.does) {
			want.add(step.role, build, step.on)
		}
	}
	for _, match := range secretVersion.FindAllStringSubmatch(s.build, -1) {
		want.add("roles/secretmanager.secretAccessor", build, "google_secret_manager_secret."+strings.ReplaceAll(match[1], "-", "_"))
	}
	for _, function := range s.code.functions() { // to deploy a service is to act as its account
		want.add("roles/iam.serviceAccountUser", build, "google_service_account."+function)
	}
	return want
}

// An instance is one of the resources that a block stands for, by its for_each.
type instance struct {
	block
	key, each string
}

// value is an attribute with what each.key and each.value are.
func (i instance) value(name string) string {
	switch value := i.block.value(name); {
	case value == "each.key":
		return i.key
	case value == "each.value", strings.HasPrefix(value, "each.value."):
		return i.each + strings.TrimPrefix(value, "each.value")
	default:
		return value
	}
}

// instances are what a block stands for: for_each is a set of strings, an object, or a resource that has one of these.
func (m module) instances(b block) []instance {
	each, ok := b.Body.Attributes["for_each"]
	if !ok {
		return []instance{{block: b}}
	}
	var all []instance
	switch e := each.Expr.(type) {
	case *hclsyntax.FunctionCallExpr: // toset([…])
		for _, item := range e.Args[0].(*hclsyntax.TupleConsExpr).Exprs {
			all = append(all, instance{b, b.text(item), b.text(item)})
		}
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			all = append(all, instance{b, b.text(item.KeyExpr), b.text(item.ValueExpr)})
		}
	case *hclsyntax.ScopeTraversalExpr:
		kind, name, _ := strings.Cut(b.text(e), ".")
		other, ok := m.find(kind, name)
		if !ok {
			break
		}
		for _, one := range m.instances(other) {
			all = append(all, instance{b, one.key, fmt.Sprintf("%s[%q]", other.address(), one.key)})
		}
	}
	return all
}
