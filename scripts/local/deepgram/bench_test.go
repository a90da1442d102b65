package deepgram_test

import (
	"net/http/httptest"
	"testing"

	client "earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/testspeech"
)

func BenchmarkExactSecond(b *testing.B) {
	decoder, err := deepgram.Exact{}.Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	pcm := testspeech.Words(1, 2, 3)[:testspeech.Rate*9/10]
	for b.Loop() {
		if _, err := decoder.Decode(pcm); err != nil {
			b.Fatal(err)
		}
	}
}

// What a session costs to recognise, with a server that costs little: 20 ms of audio, sent, decoded and answered.
func BenchmarkSend20ms(b *testing.B) {
	server := httptest.NewServer(&deepgram.Handler{Key: key, Engine: deepgram.Exact{}})
	defer server.Close()
	r, err := client.New(client.Config{URL: server.URL + "/v1/listen", Key: key, Client: server.Client()})
	if err != nil {
		b.Fatal(err)
	}
	stream, err := r.Open(b.Context(), english)
	if err != nil {
		b.Fatal(err)
	}
	received := make(chan struct{})
	go func() {
		defer close(received)
		for {
			if _, err := stream.Recv(b.Context()); err != nil {
				return
			}
		}
	}()
	audio := testspeech.Bytes(testspeech.Words(1, 2, 3))
	audio = audio[:len(audio)/640*640]
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		if err := stream.Send(b.Context(), audio[at:at+640]); err != nil {
			b.Fatal(err)
		}
		at = (at + 640) % len(audio)
	}
	if err := stream.CloseSend(b.Context()); err != nil {
		b.Fatal(err)
	}
	<-received
	if err := stream.Close(); err != nil {
		b.Fatal(err)
	}
}
