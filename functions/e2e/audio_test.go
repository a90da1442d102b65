package e2e

import (
	"bytes"
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
	"earshot.dev/shared/account"
)

// Who has asked for it gets the octets that a device sends, all of them, in order and once, though each message comes
// twice, the receiver fails in between, and the device is cut off and sends again what isn't acknowledged.
func TestAudioBytes(t *testing.T) {
	s := begin(t, "tove")
	if err := s.AddWebhook(t.Context(), "tove", account.AudioBytes); err != nil {
		t.Fatal(err)
	}
	s.Pushes["audio-appended-integrations"].Repeat(1)
	heard := slices.Concat(
		testspeech.Words(numbers(1, 20)...), testspeech.Silence(4*time.Second), testspeech.Words(numbers(21, 40)...), testspeech.Silence(time.Second))
	token, err := s.UserToken("tove", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	url, err := s.ListenURL()
	if err != nil {
		t.Fatal(err)
	}
	device := client.NewSession(client.Config{
		URL: url, Token: client.FixedToken(token), Device: "device", Codec: source.PCM16, SampleRate: testspeech.Rate, Language: "en",
	}, func(client.Message) {})
	const held = int(400*time.Millisecond/shortPacket) + 1 // of the silence at the end, see heldBack
	next, stop := iter.Pull2(client.Paced(t.Context(), packets(heard, shortPacket)))
	defer stop()
	for _, many := range []int{200, len(heard)} { // the first time in the middle of the words
		connected, cutOff := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = device.Run(connected) }) // what it couldn't bring shows in what is told
		sent, more := 0, true
		for ; more && sent < many; sent++ {
			var p source.Packet
			if p, err, more = next(); err != nil {
				t.Fatal(err)
			} else if more {
				device.Send(p.Data)
			}
		}
		if more {
			s.Webhooks.FailNext(2, http.StatusServiceUnavailable)
		} else {
			device.End()
			settled(t, "that the words are safe", func(context.Context) (bool, error) { return device.Unacknowledged() <= held, nil })
		}
		cutOff()
		running.Wait()
	}
	want := testspeech.Bytes(heard)
	var got []byte
	settled(t, "the octets", func(context.Context) (bool, error) {
		got = nil
		var ids []string
		for _, r := range s.Webhooks.All() {
			if !strings.HasPrefix(r.ID, "audio_bytes:") || r.Refused {
				continue
			}
			if r.Invalid != nil || r.Query.Get("uid") != "tove" || r.Query.Get("sample_rate") != "16000" ||
				r.Header.Get("Content-Type") != "application/octet-stream" {
				t.Fatalf("%s came to %v with %v (%v)", r.ID, r.Query, r.Header, r.Invalid)
			}
			if !slices.Contains(ids, r.ID) {
				ids = append(ids, r.ID)
				got = append(got, r.Body...)
			}
		}
		return len(got) >= len(want)-held*2*testspeech.FrameSamples, nil
	})
	if !bytes.HasPrefix(want, got) {
		t.Errorf("got %d octets, want those that were sent, which are %d", len(got), len(want))
	}
}
