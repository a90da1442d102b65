package infralint

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

const serviceType = "google_cloud_run_v2_service"

// given are the variables that Cloud Run sets itself, and lets nobody set.
// https://cloud.google.com/run/docs/container-contract#services-env-vars
var given = []string{"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"}

// runtime are variables that Go itself reads. https://pkg.go.dev/runtime#hdr-Environment_Variables
var runtime = []string{"GOMEMLIMIT"}

// Each function has a service, in a file of its name, that runs as an account of its own.
func checkServices(s system) []string {
	got, accounts := map[string]bool{}, map[string]bool{}
	var found []string
	for _, b := range s.module.of(serviceType) {
		name := b.name()
		got[name] = true
		if b.service() != name || b.value("name") != name {
			found = append(found, fmt.Sprintf("%s: a service, its resource and its file have one name", b))
		}
		account := resource(b.at("template.service_account"), "google_service_account")
		if account != name || accounts[account] {
			found = append(found, fmt.Sprintf("%s: runs as %q, and should as an account of its own", b, account))
		}
		accounts[account] = true
		if want := fmt.Sprintf(`"${local.images}/%s:${var.release}"`, name); b.at("template.containers.image") != want {
			found = append(found, fmt.Sprintf("%s: got image %s, want %s", b, b.at("template.containers.image"), want))
		}
	}
	return append(found, differ("the service", set(s.code.functions()...), got)...)
}

// What a config requires is set, and nothing is that it doesn't read.
func checkEnvironment(s system) []string {
	var found []string
	for _, function := range s.code.functions() {
		settings, err := s.code.settings("functions/"+function, "config")
		if err != nil {
			found = append(found, err.Error())
			continue
		}
		b, _ := s.module.find(serviceType, function)
		if b.Block == nil {
			continue // checkServices tells
		}
		set := map[string]bool{}
		for _, variable := range b.all("template", "containers", "env") {
			name := variable.value("name")
			known := slices.Contains(runtime, name) || slices.ContainsFunc(settings, func(s setting) bool { return s.name == name })
			if !known || set[name] || slices.Contains(given, name) {
				found = append(found, fmt.Sprintf("%s: sets %s, which it doesn't read, or sets twice, or may not set", b, name))
			}
			set[name] = true
		}
		for _, setting := range settings {
			if setting.required && !set[setting.name] {
				found = append(found, fmt.Sprintf("%s: doesn't set %s, which its config.go requires", b, setting.name))
			}
		}
	}
	return found
}

// secret matches the names of what nobody may see.
var secret = regexp.MustCompile(`(?i)(api_key|secret|password|credentials?|_token)$|^redis_url$`)

// A secret comes from Secret Manager, and nothing else does; no variable or output of the module holds one.
func checkSecrets(s system) []string {
	var found []string
	for _, b := range s.module.of(serviceType) {
		for _, variable := range b.all("template", "containers", "env") {
			name, from := variable.value("name"), variable.at("value_source.secret_key_ref.secret")
			hidden := resource(from, "google_secret_manager_secret")
			if secret.MatchString(name) != (hidden != "") || hidden != "" && variable.value("value") != "" {
				found = append(found, fmt.Sprintf("%s: %s is a secret and plain, or none and hidden", b, name))
			}
		}
	}
	for _, b := range s.module.blocks {
		if (b.Type == "variable" || b.Type == "output") && secret.MatchString(b.name()) {
			found = append(found, fmt.Sprintf("%s: a secret is no %s", b, b.Type))
		}
	}
	return found
}

// What a session of listen takes, as infra/README.md has it from the benchmarks.
const (
	frameRate     = 50                  // a second
	frameCost     = 107e-6              // cores times seconds
	sessionMemory = 406_000 + 30*32_000 // bytes, with all the audio that is kept for another recogniser
)

// limits of an instance: cores, and bytes.
var limits = regexp.MustCompile(`(?s)cpu\s*=\s*"(\d+)".*memory\s*=\s*"(\d+)Gi"`)

// An instance has room for its sessions: CPU up to the share at which Cloud Run starts another one, and memory twice over,
// since Go collects when there is as much garbage as there is in use.
func (s system) checkRoom(listen block) []string {
	sessions, err := strconv.Atoi(s.module.local("listen_sessions"))
	match := limits.FindStringSubmatch(listen.at("template.containers.resources.limits"))
	if err != nil || match == nil {
		return []string{fmt.Sprintf("%s: its sessions or limits can't be read", listen)}
	}
	var found []string
	cores, _ := strconv.Atoi(match[1])  // digits
	memory, _ := strconv.Atoi(match[2]) // digits
	if used := float64(sessions*frameRate) * frameCost; used > 0.6*float64(cores) {
		found = append(found, fmt.Sprintf("%s: %d sessions take %.2f cores, over 60 %% of %d", listen, sessions, used, cores))
	}
	if used := 2 * sessions * sessionMemory; used > memory<<30 {
		found = append(found, fmt.Sprintf("%s: %d sessions may take %d bytes, over %d GiB", listen, sessions, used, memory))
	}
	return found
}

// An instance of listen is sent as many sessions as it takes, and for as long as Cloud Run allows.
func checkCapacity(s system) []string {
	b, ok := s.module.find(serviceType, "listen")
	if !ok {
		return nil // checkServices tells
	}
	found := s.checkRoom(b)
	sessions := b.at("template.max_instance_request_concurrency")
	for _, variable := range b.all("template", "containers", "env") {
		if variable.value("name") == "MAX_SESSIONS" && variable.value("value") != sessions {
			found = append(found, fmt.Sprintf("%s: takes %s sessions and is sent %s", b, variable.value("value"), sessions))
		}
	}
	for where, want := range map[string]string{
		"template.timeout": "3600s", "template.session_affinity": "true",
		"template.containers.resources.cpu_idle": "false",
		"template.execution_environment":         "EXECUTION_ENVIRONMENT_GEN2",
	} {
		if got := b.at(where); got != want {
			found = append(found, fmt.Sprintf("%s: %s: got %q, want %q", b, where, got, want))
		}
	}
	return found
}
