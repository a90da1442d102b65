package infralint

import (
	"fmt"
	"regexp"
	"strings"
)

const policyType = "google_monitoring_alert_policy"

var (
	// objective matches a row of the table in infra/README.md: name, what is promised, alerts.
	objective = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([^|]*) \\| ([^|`]*) \\|$")
	// otlp matches how metrics that came by OTLP are called in a filter.
	otlp    = regexp.MustCompile(`(prometheus|workload)\.googleapis\.com/`)
	watches = regexp.MustCompile(`objective\s*=\s*"([^"]*)"`)
)

// An alert watches over an objective, and the table of objectives says so; an objective without an alert is a wish.
func checkObjectives(s system) []string {
	var found []string
	want, got := map[string]bool{}, map[string]bool{}
	for _, row := range objective.FindAllStringSubmatch(s.runbook, -1) {
		for alert := range strings.SplitSeq(row[3], ";") {
			got[row[1]+": "+strings.TrimSpace(alert)] = true
		}
	}
	for _, b := range s.module.of(policyType) {
		match := watches.FindStringSubmatch(b.value("user_labels"))
		if match == nil {
			found = append(found, fmt.Sprintf("%s: watches over no objective", b))
			continue
		}
		want[match[1]+": "+b.value("display_name")] = true
	}
	for pair := range want {
		if !got[pair] {
			found = append(found, "infra/README.md doesn't have among its objectives "+pair)
		}
	}
	for pair := range got {
		if !want[pair] {
			found = append(found, "infra/README.md has among its objectives "+pair+", over which no alert watches")
		}
	}
	return found
}

// A policy on a metric that Cloud Monitoring doesn't know yet is refused. So metrics of logs are waited for, and those that
// services send themselves, which are known from their first point on, aren't asked for.
func checkNewMetrics(s system) []string {
	var found []string
	waited := map[string]bool{}
	sleep, ok := s.module.find("time_sleep", "metrics")
	if !ok || sleep.value("create_duration") != "600s" {
		found = append(found, "nobody waits the ten minutes until metrics of logs are known")
	} else {
		references(sleep.Body.Attributes["triggers"].Expr, waited)
	}
	for _, b := range s.module.of("google_logging_metric") {
		if !waited[b.address()] {
			found = append(found, fmt.Sprintf("%s: nobody waits until it is known", b))
		}
	}
	for _, b := range s.module.of(policyType) {
		names := map[string]bool{}
		references(b.Block, names)
		for name := range names {
			if strings.HasPrefix(name, "google_logging_metric.") {
				found = append(found, fmt.Sprintf("%s: doesn't wait for %s: name it by time_sleep.metrics.triggers", b, name))
			}
		}
		for _, condition := range b.all("conditions", "condition_prometheus_query_language") {
			if condition.value("disable_metric_validation") != "true" {
				found = append(found, fmt.Sprintf("%s: asks whether what it watches exists", b))
			}
		}
		for _, condition := range append(b.all("conditions", "condition_threshold"), b.all("conditions", "condition_absent")...) {
			if otlp.MatchString(condition.value("filter")) {
				found = append(found, fmt.Sprintf("%s: what services send is asked for by PromQL", b))
			}
		}
	}
	return found
}
