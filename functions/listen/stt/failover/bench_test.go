package failover_test

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/failover"
)

// echo is a recogniser that costs next to nothing: it answers each piece of audio with a word, and makes all final
// after each thirtieth.
type echo struct{}

func (echo) Name() string         { return "echo" }
func (echo) Supports(string) bool { return true }

func (echo) Open(context.Context, stt.Options) (stt.Stream, error) {
	return &echoStream{results: make(chan stt.Result, 64), quit: make(chan struct{})}, nil
}

type echoStream struct {
	results chan stt.Result
	quit    chan struct{}
	once    sync.Once
	heard   time.Duration
	final   time.Duration
	pieces  int
}

func (s *echoStream) Send(_ context.Context, pcm []byte) error {
	s.heard += time.Duration(len(pcm)/2) * time.Second / 16000
	s.pieces++
	r := stt.Result{Start: s.final, End: s.heard, Final: s.pieces%30 == 0}
	r.Words = []stt.Word{{Text: "word", Start: s.final, End: s.heard}}
	if r.Final {
		s.final = s.heard
	}
	select {
	case s.results <- r:
	case <-s.quit:
	}
	return nil
}

func (s *echoStream) Finalize(context.Context) error  { return nil }
func (s *echoStream) CloseSend(context.Context) error { return nil }

func (s *echoStream) Recv(ctx context.Context) (stt.Result, error) {
	select {
	case r := <-s.results:
		return r, nil
	case <-ctx.Done():
		return stt.Result{}, ctx.Err()
	case <-s.quit:
		return stt.Result{}, net.ErrClosed
	}
}

func (s *echoStream) Close() error {
	s.once.Do(func() { close(s.quit) })
	return nil
}

func both(b *testing.B) map[string]stt.Recognizer {
	b.Helper()
	joined, err := failover.New(order(b, "echo"), failover.Options{}, echo{}, echo{})
	if err != nil {
		b.Fatal(err)
	}
	return map[string]stt.Recognizer{"bare": echo{}, "failover": joined}
}

// BenchmarkRelay is 100 ms of audio sent, and its result received.
func BenchmarkRelay(b *testing.B) {
	pcm := make([]byte, 3200)
	for _, name := range []string{"bare", "failover"} {
		b.Run(name, func(b *testing.B) {
			stream, err := both(b)[name].Open(b.Context(), stt.Options{Language: "en", SampleRate: 16000})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := stream.Send(b.Context(), pcm); err != nil {
					b.Fatal(err)
				}
				if _, err := stream.Recv(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			if err := stream.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkMemory is what a stream holds while it is idle, and while up to 3 s of audio aren't final: bytes of heap and
// of stacks.
func BenchmarkMemory(b *testing.B) {
	const streams = 500
	pcm := make([]byte, 3200)
	for _, name := range []string{"bare", "failover"} {
		for _, pieces := range []int{0, 29} {
			b.Run(name+map[int]string{0: "/idle", 29: "/active"}[pieces], func(b *testing.B) {
				r := both(b)[name]
				for b.Loop() {
					var open []stt.Stream
					before := held()
					for range streams {
						stream, err := r.Open(b.Context(), stt.Options{Language: "en", SampleRate: 16000})
						if err != nil {
							b.Fatal(err)
						}
						for range pieces {
							if err := stream.Send(b.Context(), pcm); err != nil {
								b.Fatal(err)
							}
							if _, err := stream.Recv(b.Context()); err != nil {
								b.Fatal(err)
							}
						}
						open = append(open, stream)
					}
					b.ReportMetric(float64(held()-before)/streams, "B/stream")
					for _, stream := range open {
						if err := stream.Close(); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

func held() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
