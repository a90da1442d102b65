package account

import (
	"testing"
	"time"
)

// An address is what Omi's apps make of an address and of seconds, of which either may be missing.
func TestAudio(t *testing.T) {
	for set, want := range map[string]struct {
		address string
		stretch time.Duration
	}{
		"https://x/y":                       {"https://x/y", 5 * time.Second},
		"https://x/y,12":                    {"https://x/y", 12 * time.Second},
		"https://x/y?z=1,3":                 {"https://x/y?z=1", 3 * time.Second},
		"https://x/y,":                      {"https://x/y", 5 * time.Second},
		"https://x/y,0":                     {"https://x/y", time.Second},
		"https://x/y,-5":                    {"https://x/y", time.Second},
		"https://x/y,3600":                  {"https://x/y", 30 * time.Second},
		"https://x/a,b":                     {"https://x/a,b", 5 * time.Second},
		"https://x/a,b,7":                   {"https://x/a,b", 7 * time.Second},
		"https://x/y,1e3":                   {"https://x/y,1e3", 5 * time.Second},
		"https://x/y, 5":                    {"https://x/y, 5", 5 * time.Second},
		"":                                  {"", 5 * time.Second},
		"https://x/y,999999999999999999999": {"https://x/y,999999999999999999999", 5 * time.Second},
	} {
		if address, stretch := (Webhook{URL: set}).Audio(); address != want.address || stretch != want.stretch {
			t.Errorf("%q: got %q, %v; want %q, %v", set, address, stretch, want.address, want.stretch)
		}
	}
}
