package infralint

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"earshot.dev/shared/event"
)

const deadLetter = "dead-letter"

// There is a topic for each type of event that a function publishes or takes, and one for what nobody could take. What
// is published is taken by somebody, and the other way round; what is declared is both.
func checkTopics(s system) []string {
	published, handled := map[string]bool{}, map[string]bool{}
	for _, function := range s.code.functions() {
		maps.Copy(published, set(s.code.published(function)...))
		maps.Copy(handled, set(s.code.handled(function)...))
	}
	want := set(deadLetter)
	maps.Copy(want, published)
	maps.Copy(want, handled)
	var found []string
	for _, topic := range slices.Sorted(maps.Values(s.code.eventTopics())) {
		if !published[topic] || !handled[topic] {
			found = append(found, fmt.Sprintf("%s: published by a function %v, taken by one %v", topic, published[topic], handled[topic]))
		}
	}
	got := map[string]bool{}
	for _, b := range s.module.of("google_pubsub_topic") {
		got[b.value("name")] = true
	}
	return append(found, differ("the topic", want, got)...)
}

// Each event that a function takes is pushed to it, by the subscription {topic}-{function}.
func checkSubscriptions(s system) []string {
	want, got := set(deadLetter+" of "+deadLetter), map[string]bool{}
	for _, function := range s.code.functions() {
		for _, topic := range s.code.handled(function) {
			want[topic+"-"+function+" of "+topic] = true
		}
	}
	var found []string
	for _, b := range s.module.of("google_pubsub_subscription") {
		topic, _ := s.module.find("google_pubsub_topic", resource(b.value("topic"), "google_pubsub_topic"))
		if topic.Block == nil {
			found = append(found, fmt.Sprintf("%s: is of no topic", b))
			continue
		}
		got[b.value("name")+" of "+topic.value("name")] = true
		if topic.value("name") != deadLetter {
			found = append(found, s.checkSubscription(b)...)
		}
		ordered := slices.ContainsFunc(event.Types, func(t string) bool {
			return event.Topic(t) == topic.value("name") && event.Ordered(t)
		})
		if got := b.value("enable_message_ordering") == "true"; got != ordered {
			found = append(found, fmt.Sprintf("%s: keeps the order: %v, want %v", b, got, ordered))
		}
	}
	return append(found, differ("the subscription", want, got)...)
}

// Backoff, number of deliveries and dead letters are those of the design. checkGrants sees that Pub/Sub may move them.
func (s system) checkSubscription(b block) []string {
	var found []string
	for where, want := range map[string]string{
		"retry_policy.minimum_backoff":             "10s",
		"retry_policy.maximum_backoff":             "600s",
		"dead_letter_policy.max_delivery_attempts": "20",
		"dead_letter_policy.dead_letter_topic":     "google_pubsub_topic.dead_letter.id",
		"expiration_policy.ttl":                    "",
	} {
		if got := b.at(where); got != want {
			found = append(found, fmt.Sprintf("%s: %s: got %q, want %q", b, where, got, want))
		}
	}
	if kept := b.value("message_retention_duration"); kept == "600s" && !s.watched(b) {
		found = append(found, fmt.Sprintf("%s: keeps events for %s, and no alert watches over it by itself", b, kept))
	}
	return found
}

// watched reports whether an alert has a condition on the age of a subscription's events alone, which comes before they
// are gone after ten minutes.
func (s system) watched(subscription block) bool {
	for _, policy := range s.module.of(policyType) {
		for _, condition := range policy.all("conditions", "condition_threshold") {
			filter := condition.value("filter")
			seconds, err := strconv.Atoi(condition.value("threshold_value"))
			if strings.Contains(filter, `subscription_id = \"${`+subscription.address()+".name}") &&
				strings.Contains(filter, "/oldest_unacked_message_age") && err == nil && seconds <= 300 {
				return true
			}
		}
	}
	return false
}

// A caller says for whom its token is, and whose it is; the service takes that and nothing else.
func checkPushes(s system) []string {
	var found []string
	callers := append(s.module.of("google_pubsub_subscription"), s.module.of("google_cloud_scheduler_job")...)
	for _, b := range callers {
		within, target := "push_config", b.at("push_config.push_endpoint")
		if b.Labels[0] == "google_cloud_scheduler_job" {
			within, target = "http_target", b.at("http_target.uri")
		}
		service, ok := s.module.find(serviceType, resource(target, serviceType))
		if !ok {
			if b.value("name") != deadLetter {
				found = append(found, fmt.Sprintf("%s: calls no service", b))
			}
			continue
		}
		variables := map[string]string{}
		for _, v := range service.all("template", "containers", "env") {
			variables[v.value("name")] = v.value("value")
		}
		audience := b.at(within + ".oidc_token.audience")
		if audience == "" || variables["PUSH_AUDIENCE"] != audience ||
			service.value("custom_audiences") != fmt.Sprintf("[%q]", audience) {
			found = append(found, fmt.Sprintf("%s: calls for %q, which isn't what %s takes", b, audience, service))
		}
		if account := b.at(within + ".oidc_token.service_account_email"); account == "" || variables["PUSH_ACCOUNT"] != account {
			found = append(found, fmt.Sprintf("%s: calls as %q, whom %s doesn't let in", b, account, service))
		}
	}
	return found
}
