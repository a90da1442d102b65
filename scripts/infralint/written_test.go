package infralint

import (
	"bytes"
	"fmt"
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Files are as terraform fmt and tofu fmt write them.
func checkFormat(s system) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(s.module.files)) {
		if source := s.module.files[name]; !bytes.Equal(hclwrite.Format(source), source) {
			found = append(found, name+": is not formatted: run terraform fmt or tofu fmt")
		}
	}
	return found
}

// What is referred to is declared, and what is declared is used. Variables without a default are in the example.
func checkReferences(s system) []string {
	declared, used := map[string]bool{}, map[string]bool{}
	for _, b := range s.module.blocks {
		references(b.Block, used)
		switch b.Type {
		case "resource":
			declared[b.address()] = true
		case "variable":
			declared["var."+b.name()] = true
		case "locals":
			for name := range b.Body.Attributes {
				declared["local."+name] = true
			}
		}
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(used)) {
		top, _, _ := strings.Cut(name, ".")
		ours := top == "var" || top == "local" || top == "time_sleep" || top == "terraform_data" || strings.HasPrefix(top, "google_")
		if ours && !declared[name] {
			found = append(found, name+" is used, and declared nowhere")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		top, _, _ := strings.Cut(name, ".")
		if (top == "var" || top == "local") && !used[name] {
			found = append(found, name+" is declared, and used nowhere")
		}
	}
	return append(found, checkExample(s)...)
}

var assigned = regexp.MustCompile(`(?m)^#? ?([a-z_]+) *=`)

func checkExample(s system) []string {
	example, variables := map[string]bool{}, map[string]bool{}
	var found []string
	for _, match := range assigned.FindAllStringSubmatch(s.values, -1) {
		example[match[1]] = true
	}
	for _, b := range s.module.blocks {
		if b.Type != "variable" {
			continue
		}
		variables[b.name()] = true
		// scripts/deploy knows the release.
		if _, optional := b.Body.Attributes["default"]; !optional && !example[b.name()] && b.name() != "release" {
			found = append(found, fmt.Sprintf("%s: has no default, and is not in terraform.tfvars.example", b))
		}
	}
	for name := range example {
		if !variables[name] {
			found = append(found, "terraform.tfvars.example sets "+name+", which is no variable")
		}
	}
	return found
}

var (
	logged = regexp.MustCompile(`jsonPayload\.message="([^"]*)"`)
	logger = regexp.MustCompile(`resource\.labels\.service_name="([^"]*)"`)
)

// What is counted in the logs of a service is what the service logs.
func checkLogEvents(s system) []string {
	var found []string
	for _, b := range s.module.of("google_logging_metric") {
		message, service := logged.FindStringSubmatch(b.value("filter")), logger.FindStringSubmatch(b.value("filter"))
		if message == nil {
			continue // counted by severity
		}
		if service == nil || !s.code.says("functions/"+service[1], message[1]) && !s.code.says("shared", message[1]) {
			found = append(found, fmt.Sprintf("%s: counts %q, which nobody logs", b, message[1]))
		}
	}
	return found
}

// says tells whether a file below a folder has a string.
func (c code) says(top, text string) bool {
	said := false
	for _, f := range c.below(top) {
		ast.Inspect(f.File, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				value, ok := literal(e)
				said = said || ok && value == text
			}
			return !said
		})
	}
	return said
}

var heading = regexp.MustCompile(`(?m)^### (.*)$`)

// For each alert the runbook has a chapter, by its name.
func checkRunbook(s system) []string {
	want, got := map[string]bool{}, map[string]bool{}
	for _, b := range s.module.of("google_monitoring_alert_policy") {
		want[b.value("display_name")] = true
	}
	for _, match := range heading.FindAllStringSubmatch(s.runbook, -1) {
		got[match[1]] = true
	}
	var found []string
	for name := range want {
		if !got[name] {
			found = append(found, "infra/README.md doesn't say what to do about the alert "+name)
		}
	}
	for name := range got {
		if !want[name] {
			found = append(found, "infra/README.md has a chapter on "+name+", and there is no such alert")
		}
	}
	return found
}
