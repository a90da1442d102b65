package broadcast_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/broadcast"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/redistest"
)

// All who listen hear each message, and those of other channels nobody; also once Redis was killed, and came back empty.
func TestAllHear(t *testing.T) {
	server := redistest.New(t)
	var heard [2]chan string
	for i := range heard {
		heard[i] = make(chan string, 1000)
		go broadcast.New(open(t, server), "news").Listen(t.Context(), func(m []byte) { heard[i] <- string(m) })
	}
	client := open(t, server)
	news, other := broadcast.New(client, "news"), broadcast.New(client, "other")
	for _, message := range []string{"first", "after Redis was gone"} {
		for i := range heard {
			reaches(t, other, news, message, heard[i])
		}
		server.Kill()
		if err := news.Send(t.Context(), []byte("nobody there")); !fault.Is(err, fault.Unavailable) {
			t.Errorf("without Redis: got %v, want unavailable", err)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
}

// reaches sends a message until it is heard: who listens may still be about to.
func reaches(t *testing.T, other, news *broadcast.Channel, message string, heard <-chan string) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	late := time.After(30 * time.Second)
	for {
		for channel, m := range map[*broadcast.Channel]string{other: "astray", news: message} {
			if err := channel.Send(t.Context(), []byte(m)); err != nil && !fault.Is(err, fault.Unavailable) {
				t.Fatal(err)
			}
		}
		select {
		case got := <-heard:
			if got == message {
				return
			}
			if got == "astray" {
				t.Fatal("heard what was told on another channel")
			}
		case <-again.C:
		case <-late:
			t.Fatalf("%q was not heard", message)
		}
	}
}

// A Redis that is silent doesn't hold up who tells.
func TestSilentRedis(t *testing.T) {
	server := redistest.New(t)
	channel := broadcast.New(open(t, server), "news")
	if err := channel.Send(t.Context(), []byte("there")); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	defer server.Resume()
	if err := channel.Send(t.Context(), []byte("silent")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
}

// Who listens has heard all there is when the client is closed.
func TestClosed(t *testing.T) {
	client := open(t, redistest.New(t))
	over := make(chan struct{})
	go func() {
		defer close(over)
		broadcast.New(client, "news").Listen(t.Context(), func([]byte) {})
	}()
	select {
	case <-time.After(time.Second):
	case <-over:
		t.Fatal("it doesn't listen")
	}
	_ = client.Close() // what it says is of no interest here
	select {
	case <-over:
	case <-time.After(30 * time.Second):
		t.Error("it listens to nobody")
	}
}

func open(t *testing.T, server *redistest.Server) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() }) // a failure would show before
	return client
}
