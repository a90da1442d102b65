package e2e

import (
	"net/url"
	"testing"
	"time"

	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
)

// Whoever can't be served is told so with the code that the protocol has for it, and the service goes on.
func TestRefused(t *testing.T) {
	s := begin(t, "hans")
	good, err1 := s.UserToken("hans", time.Hour)
	expired, err2 := s.UserToken("hans", -time.Hour)
	nobody, err3 := s.UserToken("nobody", time.Hour)
	impostor, err4 := s.Users.Impostor()
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		t.Fatal(err1, err2, err3, err4)
	}
	forged, err := impostor.UserToken("hans", "earshot-local", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	config := client.Config{Token: client.FixedToken(good), Codec: source.PCM16, SampleRate: testspeech.Rate, Language: "en"}
	with := func(change func(*client.Config)) client.Config {
		c := config
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name   string
		config client.Config
		code   int
	}{
		{"empty token", with(func(c *client.Config) { c.Token = client.FixedToken("") }), 1008},
		{"what is no token", with(func(c *client.Config) { c.Token = client.FixedToken("what") }), 1008},
		{"forged token", with(func(c *client.Config) { c.Token = client.FixedToken(forged) }), 1008},
		{"unknown user", with(func(c *client.Config) { c.Token = client.FixedToken(nobody) }), 1008},
		{"expired token", with(func(c *client.Config) { c.Token = client.FixedToken(expired) }), 4001},
		{"unknown codec", with(func(c *client.Config) { c.Codec = "mp3" }), 1003},
		{"impossible rate", with(func(c *client.Config) { c.SampleRate = 7 }), 1003},
		{"unknown language", with(func(c *client.Config) { c.Language = "tlh" }), 1008},
	} {
		t.Run(tt.name, func(t *testing.T) { dial(t, s, tt.config).closedWith(tt.code) })
	}
	t.Run("frame of 1 MB", func(t *testing.T) {
		sp := dial(t, s, config)
		if err := sp.client.Send(t.Context(), make([]byte, 1<<20)); err != nil {
			t.Logf("closed while it was sent: %v", err)
		}
		sp.closedWith(1009)
	})
	t.Run("garbage", func(t *testing.T) {
		sp := dial(t, s, with(func(c *client.Config) { c.Codec, c.Query = source.OpusFS320, url.Values{"uid": {"other"}} }))
		for _, text := range []string{"no json", "{}", `{"type":"client_state"}`, `{"type":"end","x":`, "[]"} {
			if err := sp.client.Say(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		for _, frame := range []string{"\x8a\x00", "\x00", "garbage that is no opus packet", "\xff\xff\xff\xff"} {
			if err := sp.client.Send(t.Context(), []byte(frame)); err != nil {
				t.Fatal(err)
			}
		}
		sp.until("ready", func() bool { return len(sp.conversations) > 0 })
		if err := sp.client.Close(); err != nil {
			t.Errorf("the session did not go on: %v", err)
		}
	})
	sp := connect(t, s, "hans", nil)
	sp.say(1, 3)
	sp.sees(1, 3)
}
