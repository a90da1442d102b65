package conversation

import (
	"regexp"
	"strings"
)

var name = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// ValidName reports whether s may be the name of a document of a user's own, a conversation's or a device's: it is no path to
// anybody else's, and none that Firestore reserves
// (https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields).
func ValidName(s string) bool {
	reserved := strings.HasPrefix(s, "__") && strings.HasSuffix(s, "__")
	return name.MatchString(s) && !reserved
}
