package infralint

import (
	"go/ast"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"

	"earshot.dev/shared/event"
)

// eventTopics gives the topic of each type of event, by the name of its constant in shared/event.
func (c code) eventTopics() map[string]string {
	topics := map[string]string{}
	for _, f := range c["shared/event"] {
		for _, decl := range f.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok || general.Tok != token.CONST {
				continue
			}
			for _, spec := range general.Specs {
				constant := spec.(*ast.ValueSpec)
				if value, ok := literal(constant.Values[0]); ok && strings.Contains(value, ".v") {
					topics[constant.Names[0].Name] = event.Topic(value)
				}
			}
		}
	}
	return topics
}

// handled gives the topics of the events that a function takes: the keys of what its main gives to the subscriber.
func (c code) handled(function string) []string {
	topics, found := c.eventTopics(), map[string]bool{}
	ast.Inspect(c.main(function).File, func(n ast.Node) bool {
		if pair, ok := n.(*ast.KeyValueExpr); ok {
			if name, ok := selected(pair.Key, "event"); ok {
				found[topics[name]] = true
			}
		}
		return true
	})
	return slices.Sorted(maps.Keys(found))
}

// published gives the topics of the events that a function makes. Where the type is not a constant, it is any of the
// conversation's types that the function's packages mention.
func (c code) published(function string) []string {
	topics, mentioned, found := c.eventTopics(), map[string]bool{}, map[string]bool{}
	anyType := false
	for _, f := range c.below("functions/" + function) {
		if path.Base(f.path) == "main.go" {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if name, ok := selected(n, "event"); ok && (strings.HasPrefix(name, "Conversation") || name == "Types") {
				mentioned[name] = true
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch name, _ := selected(call.Fun, "event"); name {
			case "OfConversation":
				if constant, ok := selected(call.Args[0], "event"); ok {
					found[topics[constant]] = true
				} else {
					anyType = true
				}
			case "OfUsage":
				found[topics["UsageRecorded"]] = true
			case "OfAppended":
				found[topics["TranscriptAppended"]] = true
			case "OfAudio":
				found[topics["AudioAppended"]] = true
			}
			return true
		})
	}
	for constant, topic := range topics {
		if anyType && strings.HasPrefix(constant, "Conversation") && (mentioned[constant] || mentioned["Types"]) {
			found[topic] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
