package infralint

import (
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// planted are changes of one side alone. In the file, old becomes new, everywhere; the rule then says what is wrong.
var planted = []struct{ name, rule, file, old, new, want string }{
	{
		"a config requires more", "environment", "functions/usage/config.go",
		"ProjectID string `env:\"PROJECT_ID,required\"`", "ProjectID string `env:\"PROJECT_ID,required\"`\n\tShard int `env:\"SHARD,required\"`",
		"usage: doesn't set SHARD",
	},
	{
		"a shared config requires more", "environment", "shared/redisclient/redisclient.go",
		`env:"REDIS_CA"`, `env:"REDIS_CA_FILE,required"`, "finalize: doesn't set REDIS_CA_FILE",
	},
	{"a variable is not set", "environment", "infra/sweep.tf", `"PUSH_ACCOUNT"`, `"PUSH_ACOUNT"`, "sweep: doesn't set PUSH_ACCOUNT"},
	{"a variable that nobody reads", "environment", "infra/listen.tf", `"MAX_SESSIONS"`, `"MAX_SESSION"`, "sets MAX_SESSION, "},
	{"what Cloud Run sets itself", "environment", "infra/usage.tf", `"GOOGLE_CLOUD_PROJECT"`, `"K_REVISION"`, "sets K_REVISION"},
	{"a secret becomes plain", "secrets", "infra/usage.tf", "google_secret_manager_secret.redis_url.secret_id", `"redis"`, "REDIS_URL is a secret and plain"},
	{"a secret becomes a variable", "secrets", "infra/variables.tf", `variable "alert_email"`, `variable "deepgram_api_key"`, "a secret is no variable"},
	{"a service without a function", "services", "infra/usage.tf", `"google_cloud_run_v2_service" "usage"`, `"google_cloud_run_v2_service" "extra"`, "infra/ has the service extra"},
	{"a service of another's account", "services", "infra/usage.tf", "google_service_account.usage.email", "google_service_account.sweep.email", `runs as "sweep"`},
	{"another number of sessions", "capacity", "infra/listen.tf", "max_instance_request_concurrency = local.listen_sessions", "max_instance_request_concurrency = 80", "is sent 80"},
	{"more sessions than the CPU is for", "capacity", "infra/listen.tf", "listen_sessions = 200", "listen_sessions = 250", "250 sessions take 1.34 cores"},
	{"less CPU than the sessions need", "capacity", "infra/listen.tf", `cpu    = "2"`, `cpu    = "1"`, "over 60 % of 1"},
	{"more sessions than the memory is for", "capacity", "infra/listen.tf", "listen_sessions = 200", "listen_sessions = 500", "over 1 GiB"},
	{"CPU between requests", "capacity", "infra/listen.tf", "cpu_idle          = false", "cpu_idle          = true", "cpu_idle"},
	{
		"a type of event that nobody tells", "topics", "shared/event/event.go", `UsageRecorded         = "usage.recorded.v1"`,
		"UsageRecorded = \"usage.recorded.v1\"\n\tAudioStored = \"audio.stored.v1\"", "audio-stored: published by a function false",
	},
	{"an event that nobody takes any more", "topics", "functions/usage/main.go", "event.UsageRecorded:", "event.ConversationEnded:", "usage-recorded: published by a function true, taken by one false"},
	{"an event under another name", "topics", "shared/event/event.go", `"usage.recorded.v1"`, `"usage.counted.v1"`, "the code needs the topic usage-counted"},
	{"a topic of another name", "topics", "infra/pubsub.tf", `"usage-recorded"`, `"usage-recorded-v1"`, "infra/ has the topic usage-recorded-v1"},
	{"an event taken by another function", "subscriptions", "functions/usage/main.go", "event.UsageRecorded:", "event.TranscriptAppended:", "transcript-appended-usage"},
	{"a subscription of another topic", "subscriptions", "infra/usage.tf", "google_pubsub_topic.usage_recorded.id", "google_pubsub_topic.dead_letter.id", "usage-recorded-usage of usage-recorded"},
	{"fewer deliveries", "subscriptions", "infra/finalize.tf", "max_delivery_attempts = 20", "max_delivery_attempts = 5", "max_delivery_attempts"},
	{"audio out of order", "subscriptions", "infra/integrations.tf", "enable_message_ordering    = true ", "enable_message_ordering    = false", "keeps the order: false, want true"},
	{"events that are gone before somebody is woken", "subscriptions", "infra/alerts.tf", "threshold_value = 120", "threshold_value = 600", "no alert watches over it by itself"},
	{
		"Pub/Sub may not take what failed", "grants", "infra/finalize.tf", "roles/pubsub.subscriber", "roles/pubsub.viewer",
		`needs the grant roles/pubsub.subscriber for google_project_service_identity.agents["pubsub"] on google_pubsub_subscription.conversation_ended_finalize`,
	},
	{
		"Pub/Sub may not publish dead letters", "grants", "infra/pubsub.tf", "google_pubsub_topic.dead_letter.id\n  role", "google_pubsub_topic.usage_recorded.id\n  role",
		`needs the grant roles/pubsub.publisher for google_project_service_identity.agents["pubsub"] on google_pubsub_topic.dead_letter`,
	},
	{
		"Pub/Sub makes tokens of another", "grants", "infra/pubsub.tf", "google_service_account.push.name", "google_service_account.scheduler.name",
		`needs the grant roles/iam.serviceAccountTokenCreator for google_project_service_identity.agents["pubsub"] on google_service_account.push`,
	},
	{
		"an agent that may not use the key", "grants", "infra/project.tf", `"pubsub", "redis", "secretmanager"]`, `"pubsub", "secretmanager"]`,
		`needs the grant roles/cloudkms.cryptoKeyEncrypterDecrypter for google_project_service_identity.agents["redis"] on google_kms_crypto_key.data`,
	},
	{"a build that may not push", "grants", "infra/build.tf", "roles/artifactregistry.writer", "roles/artifactregistry.reader", "needs the grant roles/artifactregistry.writer for google_service_account.build on google_artifact_registry_repository.images"},
	{"a build that may do more", "grants", "infra/build.tf", `"roles/run.developer"`, `"roles/run.developer", "roles/editor"`, "infra/ has the grant roles/editor for google_service_account.build on the project"},
	{"a build that may not sign", "grants", "infra/signin.tf", "google_service_account.build.name", "google_service_account.listen.name", "needs the grant roles/iam.serviceAccountTokenCreator for google_service_account.build on google_service_account.build"},
	{"a secret that the build may not have", "grants", "cloudbuild.yaml", "secrets/sign-in-api-key/", "secrets/deepgram-api-key/", "needs the grant roles/secretmanager.secretAccessor for google_service_account.build on google_secret_manager_secret.deepgram_api_key"},
	{"a token for another", "pushes", "infra/usage.tf", `audience              = "earshot-usage"`, `audience              = "earshot-sweep"`, `calls for "earshot-sweep"`},
	{"a token of another", "pushes", "infra/sweep.tf", "service_account_email = google_service_account.scheduler.email", "service_account_email = google_service_account.push.email", "doesn't let in"},
	{
		"a function publishes what it may not", "grants", "functions/listen/session/announce.go", "event.OfConversation(event.ConversationEnded", "event.OfConversation(event.ConversationFinalized",
		"needs the grant roles/pubsub.publisher for google_service_account.listen on google_pubsub_topic.conversation_finalized",
	},
	{"a grant too many", "grants", "infra/usage.tf", "roles/datastore.user", "roles/datastore.owner", "infra/ has the grant roles/datastore.owner for google_service_account.usage"},
	{"a grant of a kind without a rule", "grants", "infra/usage.tf", "google_project_iam_member", "google_project_iam_binding", "there is no rule"},
	{"a service that everybody may call", "grants", "infra/usage.tf", "google_service_account.push.member", `"allUsers"`, "roles/run.invoker for allUsers"},
	{"a grant that an organisation refuses", "invokers", "infra/usage.tf", "google_service_account.push.member", `"allUsers"`, "allUsers may be refused"},
	{"a service that nobody may call", "invokers", "infra/listen.tf", "invoker_iam_disabled = true", "", "may be called by anybody false, verifies users true"},
	{"a service that asks nobody who they are", "invokers", "infra/usage.tf", "template {", "invoker_iam_disabled = true\n  template {", "may be called by anybody true, verifies users false"},
	{"a use of the key too early", "key", "infra/redis.tf", "time_sleep.key", "google_kms_crypto_key_iam_member.agents", "earshot: doesn't wait"},
	{"a wait that is too short", "key", "infra/kms.tf", `"120s"`, `"10s"`, "nobody waits the two minutes"},
	{"a wait for nothing", "key", "infra/kms.tf", "[google_kms_crypto_key_iam_member.agents]", "[google_kms_key_ring.earshot]", "nobody waits the two minutes"},
	{"a query by another field", "indexes", "shared/store/due.go", `"expires_at"`, `"finished_at"`, "needs the index conversations COLLECTION_GROUP finished_at ASCENDING"},
	{
		"a query with another condition", "indexes", "shared/store/due.go", `all.Where("expires_at"`, `all.Where("status", "==", "live").Where("expires_at"`,
		"conversations COLLECTION_GROUP status ASCENDING expires_at ASCENDING",
	},
	{"an index that nobody asks by", "indexes", "infra/firestore.tf", `"pending.since"`, `"claim.until"`, "infra/ has the index conversations COLLECTION_GROUP claim.until"},
	{"a new collection", "unindexed", "shared/store/settings.go", `"webhooks"`, `"hooks"`, "the code needs the collection hooks"},
	{"a time to live", "time to live", "infra/firestore.tf", "ttl_config {}", "", "deliveries expires_at"},
	{"an event of another name", "log events", "functions/listen/session/scribe.go", `"words_not_stored"`, `"words_lost"`, `counts "words_not_stored"`},
	{"an alert of another name", "runbook", "infra/alerts.tf", "Events wait", "Events queue", "there is no such alert"},
	{"a metric that is not listed", "metrics", "shared/lock/signals.go", `"earshot.lock.waits"`, `"earshot.lock.pauses"`, "doesn't list the metric earshot.lock.pauses"},
	{"a metric that nobody measures", "metrics", "infra/README.md", "`earshot.lock.waits`", "`earshot.lock.pauses`", "lists the metric earshot.lock.pauses"},
	{"a metric in another unit", "metrics", "shared/lock/signals.go", `"earshot.lock.wait_time", "s"`, `"earshot.lock.wait_time", "ms"`, "in ms, not"},
	{"a metric that means another thing", "metrics", "shared/lock/signals.go", `"Calls for a lock"`, `"Locks"`, "what the code says of it: Locks"},
	{"an attribute that is not listed", "metrics", "shared/lock/signals.go", `measure.By("outcome", "busy")`, `measure.By("result", "busy")`, "the attribute, in shared/lock result"},
	{"an instrument made by hand", "metrics", "shared/lock/signals.go", "measure.Observed(meter,", "meter.Int64ObservableCounter(", "by Int64ObservableCounter"},
	{"an alert without an objective", "objectives", "infra/alerts.tf", `user_labels           = { objective = "lag" }`, "", "watches over no objective"},
	{"an alert on another objective", "objectives", "infra/alerts.tf", `objective = "words_kept"`, `objective = "lag"`, "words_kept: Words were lost, over which no alert watches"},
	{"an objective that nobody watches", "objectives", "infra/README.md", "| `lag` |", "| `delay` |", "delay: Words come late, over which no alert watches"},
	{"an alert that doesn't wait for its metric", "new metrics", "infra/alerts.tf", "time_sleep.metrics.triggers.sweep_done", "google_logging_metric.sweep_done.name", "doesn't wait for google_logging_metric.sweep_done"},
	{"a metric that is not waited for", "new metrics", "infra/metrics.tf", "sweep_done       = google_logging_metric.sweep_done.name", "", "sweep_done: nobody waits until it is known"},
	{"an alert that asks whether its metric exists", "new metrics", "infra/alerts.tf", "disable_metric_validation = true", "disable_metric_validation = false", "asks whether what it watches exists"},
	{"an alert on a metric that isn't known yet", "new metrics", "infra/alerts.tf", "redis.googleapis.com/stats/memory/usage_ratio", "prometheus.googleapis.com/earshot.cache.bytes/counter", "what services send is asked for by PromQL"},
	{"an alert on what nobody measures", "queries", "infra/alerts.tf", "earshot.sweep.oldest", "earshot.sweep.eldest", "asks for earshot.sweep.eldest"},
	{"a histogram that is asked for as a whole", "queries", "infra/alerts.tf", "earshot.lag.word_to_durable_bucket", "earshot.lag.word_to_durable", "asks for earshot.lag.word_to_durable"},
	{"a service that can't be released", "grants", "infra/build.tf", "usage         = google_service_account.usage.name", "", "needs the grant roles/iam.serviceAccountUser for google_service_account.build on google_service_account.usage"},
	{"a resource whose permissions nobody asks for", "permissions", "scripts/deploy", "google_redis_instance redis.instances.create redis.instances.delete\n", "", "doesn't know the permissions for a google_redis_instance"},
	{"a resource of a new type", "permissions", "infra/redis.tf", `"google_redis_instance"`, `"google_memorystore_instance"`, "doesn't know the permissions for a google_memorystore_instance"},
	{"permissions for what there isn't", "permissions", "scripts/deploy", "time_sleep - -", "time_sleep - -\ngoogle_sql_database cloudsql.databases.create cloudsql.databases.delete", "has permissions for a google_sql_database"},
	{"what is destroyed without a permission", "permissions", "scripts/deploy", "pubsub.topics.create pubsub.topics.delete", "pubsub.topics.create -", "google_pubsub_topic needs no permission"},
	{"a grant without its permission", "permissions", "scripts/deploy", "pubsub.topics.setIamPolicy pubsub.topics.setIamPolicy", "pubsub.topics.update pubsub.topics.setIamPolicy", "pubsub.topics.update doesn't make one"},
	{"Redis without a password", "redis", "infra/redis.tf", "auth_enabled            = true", "auth_enabled            = false", `auth_enabled: got "false"`},
	{"Redis without TLS", "redis", "infra/redis.tf", `"SERVER_AUTHENTICATION"`, `"DISABLED"`, `transit_encryption_mode: got "DISABLED"`},
	{"an address of Redis without TLS", "redis", "infra/secrets.tf", "rediss://", "redis://", "the address of Redis has no"},
	{"an address of Redis without the password", "redis", "infra/secrets.tf", "google_redis_instance.earshot.auth_string", `""`, "has no google_redis_instance.earshot.auth_string"},
	{"certificates of another", "redis", "infra/redis.tf", "google_redis_instance.earshot.server_ca_certs[*].cert", "[]", "isn't its certificates"},
	{"a service that trusts any Redis", "redis", "infra/usage.tf", `"REDIS_CA"`, `"REDIS_CERTIFICATE"`, "usage: asks Redis without REDIS_CA"},
	{"a service with another's secret for Redis", "redis", "infra/usage.tf", "google_secret_manager_secret.redis_url.secret_id", "google_secret_manager_secret.sign_in_api_key.secret_id", `from the secret "sign_in_api_key"`},
	{"a service that can't reach Redis", "redis", "infra/usage.tf", "google_compute_subnetwork.services.id", "google_compute_subnetwork.other.id", "isn't on its network"},
	{"a file that isn't formatted", "format", "infra/usage.tf", "  name ", "   name ", "is not formatted"},
	{"a reference to nothing", "references", "infra/usage.tf", "var.region", "var.reigon", "var.reigon is used"},
	{"a variable that nobody uses", "references", "infra/redis.tf", "var.redis_memory_gb", "1", "var.redis_memory_gb is declared"},
}

func TestPlanted(t *testing.T) {
	tree := checkout(t)
	for _, tt := range planted {
		t.Run(tt.name, func(t *testing.T) {
			changed := fstest.MapFS{}
			maps.Copy(changed, tree)
			text := string(tree[tt.file].Data)
			if !strings.Contains(text, tt.old) {
				t.Fatalf("%s has no %q: the change can't be made", tt.file, tt.old)
			}
			changed[tt.file] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(text, tt.old, tt.new))}
			s, err := load(changed)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rules {
				if r.name != tt.rule {
					continue
				}
				found := strings.Join(r.check(s), "\n")
				if !strings.Contains(found, tt.want) {
					t.Errorf("got %q, want %q in it", found, tt.want)
				}
				return
			}
			t.Fatalf("there is no rule %q", tt.rule)
		})
	}
}

// Each rule has a change that breaks it.
func TestEachRuleIsTried(t *testing.T) {
	tried := map[string]bool{}
	for _, tt := range planted {
		tried[tt.rule] = true
	}
	for _, r := range rules {
		if !tried[r.name] {
			t.Errorf("no change is planted for the rule %q", r.name)
		}
	}
}

// A function without a service is found.
func TestNewFunction(t *testing.T) {
	tree := checkout(t)
	tree["functions/replay/config.go"] = tree["functions/sweep/config.go"]
	tree["functions/replay/main.go"] = tree["functions/sweep/main.go"]
	s, err := load(tree)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(checkServices(s), "\n"); !strings.Contains(got, "needs the service replay") {
		t.Errorf("got %q, want that replay has no service", got)
	}
}

// checkout is a copy of the files that the rules read.
func checkout(t *testing.T) fstest.MapFS {
	t.Helper()
	tree, root := fstest.MapFS{}, os.DirFS("../..")
	for _, top := range []string{"functions", "infra", "shared"} {
		err := fs.WalkDir(root, top, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(p, "_test.go") {
				return err
			}
			data, err := fs.ReadFile(root, p)
			tree[p] = &fstest.MapFile{Data: data}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"cloudbuild.yaml", "scripts/deploy"} {
		data, err := fs.ReadFile(root, p)
		if err != nil {
			t.Fatal(err)
		}
		tree[p] = &fstest.MapFile{Data: data}
	}
	return tree
}
