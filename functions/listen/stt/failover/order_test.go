package failover_test

import (
	"slices"
	"strings"
	"testing"

	"earshot.dev/functions/listen/stt/failover"
)

func TestOrder(t *testing.T) {
	o := order(t, " deepgram, google ;de:google,deepgram; de-CH:own;multi:google")
	tests := []struct {
		language string
		want     string
	}{
		{"en", "deepgram google"},
		{"", "deepgram google"},
		{"de", "google deepgram"},
		{"de-AT", "google deepgram"},
		{"DE_ch", "own"},
		{"multi", "google"},
		{"den", "deepgram google"},
	}
	for _, test := range tests {
		if got := strings.Join(o.Names(test.language), " "); got != test.want {
			t.Errorf("Names(%q) = %q, want %q", test.language, got, test.want)
		}
	}
	for name, want := range map[string]bool{"deepgram": true, "own": true, "de": false} {
		if got := o.Mentions(name); got != want {
			t.Errorf("Mentions(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestOrderThatCannotBeMeant(t *testing.T) {
	for _, text := range []string{"", ",", "a;", "a;b", "de:a;de:b", "de:a;DE:b", ":a", "de:", "de:,"} {
		var o failover.Order
		if err := o.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func FuzzOrder(f *testing.F) {
	f.Add("deepgram,google;de:google", "de-AT")
	f.Add(";:,", "")
	f.Fuzz(func(t *testing.T, text, language string) {
		var o failover.Order
		if err := o.UnmarshalText([]byte(text)); err != nil {
			return
		}
		for _, name := range o.Names(language) {
			if name == "" || !strings.Contains(text, name) || !o.Mentions(name) {
				t.Errorf("%q has the name %q for %q", text, name, language)
			}
		}
		if slices.Contains(o.Names(language), ",") {
			t.Errorf("%q: a comma is a name", text)
		}
	})
}
