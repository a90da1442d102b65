package failover_test

import (
	"slices"
	"strings"
	"testing"

	"earshot.dev/functions/listen/allocs"
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
	for _, text := range []string{
		"deepgram", "deepgram,google", "deepgram,google;de:google", "deepgram, google ;de:google,deepgram; de-CH:own;multi:google",
		"google,google", "de:google", "de:google;fr:deepgram", ";:,", "", ";", ":", ",", "a;", ";a", "a;b", "a:b:c", "de:,", ":a", " : a",
		"de:a;DE:b", "de_CH:a", "zh-Hant-TW:a;zh-Hant:b;zh:c", "\u0130:a;i\u0307:b", "a\x00b", "\xff:\xfe", "de\n:a\t,\u00a0b",
	} {
		f.Add(text, "")
		f.Add(text, "de-AT")
		f.Add(text, "zh-Hant-TW")
	}
	f.Add("deepgram;de:own", strings.Repeat("-", 1000))
	f.Add("deepgram", "DE_ch")
	f.Add("deepgram", "multi")
	f.Fuzz(func(t *testing.T, text, language string) {
		var o failover.Order
		var err error
		var names []string
		allocs.Most(t, 1<<14+256*uint64(len(text))+8*uint64(len(language)), func() {
			if err = o.UnmarshalText([]byte(text)); err == nil {
				names = o.Names(language)
			}
		})
		if err != nil {
			return
		}
		for _, name := range names {
			if name == "" || !strings.Contains(text, name) || !o.Mentions(name) {
				t.Errorf("%q has the name %q for %q", text, name, language)
			}
		}
		if slices.Contains(names, ",") {
			t.Errorf("%q: a comma is a name", text)
		}
	})
}
