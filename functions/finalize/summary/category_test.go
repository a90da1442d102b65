package summary

import (
	"slices"
	"testing"
)

func TestEmoji(t *testing.T) {
	seen := map[string]string{}
	for _, category := range Categories {
		emoji := emojis[category]
		if other, ok := seen[emoji]; ok || emoji == "" {
			t.Errorf("%s: got %q, which is also that of %q", category, emoji, other)
		}
		seen[emoji] = category
	}
	for category := range emojis {
		if !slices.Contains(Categories, category) {
			t.Errorf("%s is no category", category)
		}
	}
	if got := Emoji("gardening"); got != Emoji("other") {
		t.Errorf("unknown: got %q", got)
	}
}
