package failover

import (
	"fmt"
	"slices"
	"strings"
)

// Order says which recognisers are tried, the most wanted first, by the language of the speech. As text:
//
//	deepgram,google;de:google,deepgram;multi:google
//
// Names stand between commas, languages (BCP 47, or multi) before a colon; what has no language is for all the others.
// A language without its region, de, is for all its regions that aren't named.
type Order struct {
	others    []string
	languages map[string][]string // by lower case tag
}

// UnmarshalText reads an order.
func (o *Order) UnmarshalText(text []byte) error {
	*o = Order{languages: make(map[string][]string)}
	for part := range strings.SplitSeq(string(text), ";") {
		language, list, found := strings.Cut(part, ":")
		if !found {
			language, list = "", part
		}
		language = tag(language)
		names := split(list)
		switch {
		case len(names) == 0:
			return fmt.Errorf("failover: no recogniser in %q", part)
		case found && language == "":
			return fmt.Errorf("failover: no language in %q", part)
		case !found && o.others != nil, found && o.languages[language] != nil:
			return fmt.Errorf("failover: %q is the second order for the same", part)
		case !found:
			o.others = names
		default:
			o.languages[language] = names
		}
	}
	return nil
}

func split(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Names are the names in the order for a language.
func (o Order) Names(language string) []string {
	for at := tag(language); at != ""; {
		if names, ok := o.languages[at]; ok {
			return names
		}
		cut := strings.LastIndexByte(at, '-')
		if cut < 0 {
			break
		}
		at = at[:cut]
	}
	return o.others
}

// Mentions reports whether the order has the name for any language.
func (o Order) Mentions(name string) bool {
	return slices.Contains(o.all(), name)
}

func (o Order) all() []string {
	names := slices.Clone(o.others)
	for _, more := range o.languages {
		names = append(names, more...)
	}
	return names
}

// tag is a language tag as it is looked up.
func tag(language string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSpace(language), "_", "-"))
}
