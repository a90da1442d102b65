package infralint

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	// resourceRow matches a line of the table in scripts/deploy: type, permissions to create, permissions to destroy.
	resourceRow = regexp.MustCompile(`(?m)^((?:google|time|terraform)_[a-z0-9_]+) (.*)$`)
	permission  = regexp.MustCompile(`^[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+$`)
)

// kept are the types that can't be destroyed, or that Terraform leaves as they are.
var kept = set("google_identity_platform_config", "google_kms_key_ring", "google_project_service", "google_project_service_identity")

// scripts/deploy asks beforehand for the permissions to make and to destroy each type of resource that there is.
func checkPermissions(s system) []string {
	var found []string
	want, got := map[string]bool{}, map[string]bool{}
	for _, b := range s.module.blocks {
		if b.Type == "resource" {
			want[b.Labels[0]] = true
		}
	}
	for _, row := range resourceRow.FindAllStringSubmatch(s.deploy, -1) {
		kind, columns := row[1], strings.Fields(row[2])
		if got[kind] || len(columns) != 2 {
			found = append(found, "scripts/deploy: a line for "+kind+" that has not two columns, or the second one")
			continue
		}
		got[kind] = true
		for i, names := range columns {
			if names == "-" {
				if local := !strings.HasPrefix(kind, "google_"); !local && (i == 0 || !kept[kind]) {
					found = append(found, fmt.Sprintf("scripts/deploy: %s needs no permission", kind))
				}
				continue
			}
			for name := range strings.SplitSeq(names, ",") {
				if !permission.MatchString(name) {
					found = append(found, fmt.Sprintf("scripts/deploy: %s: %s is no permission", kind, name))
				}
			}
			if iam := strings.HasSuffix(kind, "_iam_member"); iam != strings.HasSuffix(names, ".setIamPolicy") {
				found = append(found, fmt.Sprintf("scripts/deploy: %s: %s doesn't make one, or not only", kind, names))
			}
		}
	}
	for kind := range want {
		if !got[kind] {
			found = append(found, "scripts/deploy doesn't know the permissions for a "+kind)
		}
	}
	for kind := range got {
		if !want[kind] {
			found = append(found, "scripts/deploy has permissions for a "+kind+", which there isn't in infra/")
		}
	}
	return found
}
