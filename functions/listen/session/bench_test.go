package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/opus/pkg/oggreader"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"

	"earshot.dev/functions/listen/audio"
	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/vad"
	"earshot.dev/functions/listen/wire"
)

// BenchmarkFrame is what one Opus packet of 20 ms costs, in each part of its way and in all: bare is the WebSocket library
// alone, which reads it and throws it away; session is from the socket to the recogniser, which costs nothing here but
// gives a result for each piece. Both are read from real sockets, from somebody who only writes bytes that are ready.
func BenchmarkFrame(b *testing.B) {
	packets := recording(b)
	b.Run("bare", func(b *testing.B) {
		taken := make(chan struct{})
		h := serve(b, func(ctx context.Context, conn *websocket.Conn) {
			for range b.N {
				if _, _, err := conn.Read(ctx); err != nil {
					b.Error(err)
				}
			}
			close(taken)
			_, _, _ = conn.Read(ctx) // until the other side is gone
		})
		p := h.connect()
		b.ResetTimer()
		p.send(packets, b.N)
		<-taken
		b.StopTimer()
		h.close(p)
	})
	b.Run("decode", func(b *testing.B) {
		decoder := opus(b)
		var pcm []int16
		for i := 0; b.Loop(); i++ {
			var err error
			if pcm, err = decoder.Decode(pcm[:0], packets[i%len(packets)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("vad", func(b *testing.B) {
		speech, gate := decoded(b, packets), vad.NewGate()
		for i := 0; b.Loop(); i++ {
			gate.Feed(speech[i%len(speech)], func(vad.Chunk) {})
		}
	})
	b.Run("relay", func(b *testing.B) {
		stream := &free{results: make(chan stt.Result, 1)}
		piece := make([]byte, 2*batch)
		for i := 0; b.Loop(); i++ {
			if i%5 > 0 {
				continue // five packets go at once
			}
			if err := stream.Send(b.Context(), piece); err != nil {
				b.Fatal(err)
			}
			if _, err := stream.Recv(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	session := func(b *testing.B) {
		taken := make(chan struct{})
		decoder := &counted{Decoder: opus(b), left: b.N, taken: func() { close(taken) }}
		h := serve(b, func(ctx context.Context, conn *websocket.Conn) { converse(ctx, conn, decoder, newFree()) })
		p := h.connect()
		p.ready()
		go p.ignore()
		b.ReportAllocs()
		b.ResetTimer()
		p.send(packets, b.N)
		<-taken
		b.StopTimer()
		h.close(p)
	}
	b.Run("session", session)
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())))
	b.Run("measured", session) // the same, where somebody takes the metrics
}

// BenchmarkMemory is what a session holds, of heap and stacks, beside a bare WebSocket: idle as it is while nobody has
// spoken, active after 3 s of speech that came in real time, none of it final in most of them. The Opus decoder has 160 KB
// of its own. In recognised there is the recogniser of production as well, failover and Deepgram's client, which keep what
// isn't final: up to 3 s of it, which are 96 KB.
func BenchmarkMemory(b *testing.B) {
	packets := recording(b)[:150]
	b.Run("bare", func(b *testing.B) {
		hold(b, nil, func(ctx context.Context, conn *websocket.Conn, _ *counted) {
			if err := conn.Write(ctx, websocket.MessageText, []byte(wire.Ready)); err != nil {
				b.Error(err)
			}
			_, _, _ = conn.Read(ctx) // until it is cut
		})
	})
	for _, tt := range []struct {
		codec   audio.Codec
		packets [][]byte
	}{{audio.PCM16, octets(decoded(b, packets))}, {audio.OpusFS320, packets}} {
		for name, spoken := range map[string][][]byte{"idle": nil, "active": tt.packets} {
			run := func(b *testing.B, r func() stt.Recognizer) {
				hold(b, spoken, func(ctx context.Context, conn *websocket.Conn, d *counted) {
					var err error
					if d.Decoder, err = audio.NewDecoder(tt.codec, sampleRate); err != nil {
						b.Error(err)
						return
					}
					converse(ctx, conn, d, r())
				})
			}
			b.Run(name+"/"+string(tt.codec), func(b *testing.B) { run(b, newFree) })
			b.Run(name+"/"+string(tt.codec)+"/recognised", func(b *testing.B) {
				r := production(b)
				run(b, func() stt.Recognizer { return r })
			})
		}
	}
}

// hold opens connections, sends the packets to each, one each 20 ms, and reports what one takes.
func hold(b *testing.B, packets [][]byte, visit func(context.Context, *websocket.Conn, *counted)) {
	b.Helper()
	const sessions = 200
	for b.Loop() {
		before := held()
		var taken sync.WaitGroup
		h := serve(b, func(ctx context.Context, conn *websocket.Conn) {
			visit(ctx, conn, &counted{left: len(packets), taken: taken.Done})
		})
		peers := make([]*peer, sessions)
		for i := range peers {
			taken.Add(1)
			peers[i] = h.connect()
			peers[i].ready()
			peers[i].answers = nil // it is the client's
		}
		tick := time.NewTicker(20 * time.Millisecond)
		for i := range packets {
			<-tick.C
			for _, p := range peers {
				p.send(packets[i:], 1)
			}
		}
		tick.Stop()
		if len(packets) > 0 {
			taken.Wait()
		}
		b.ReportMetric(float64(held()-before)/sessions, "B/session")
		h.close(peers...)
	}
}

// held is what is in use, of heap and stacks, in bytes.
func held() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// converse has a session at the other end of a connection.
func converse(ctx context.Context, conn *websocket.Conn, decoder Decoder, r stt.Recognizer) {
	New(Params{
		ID: "s", UID: "u", Device: "d", Language: "en", SilenceTimeout: time.Hour,
	}, wire.NewSocket(conn, 1<<16), []Decoder{decoder}, r, newMemory(), &board{}).Run(ctx)
}

// counted tells when a number of packets have been taken in.
type counted struct {
	Decoder
	left  int
	taken func()
}

func (c *counted) Decode(dst []int16, packet []byte) ([]int16, error) {
	if c.left--; c.left == 0 {
		c.taken()
	}
	return c.Decoder.Decode(dst, packet)
}

// free is a recogniser that costs next to nothing. It answers each piece of audio with a word, and every thirtieth is
// final.
type free struct {
	mu      sync.Mutex
	sent    time.Duration
	final   time.Duration
	pieces  int
	closed  bool
	results chan stt.Result
}

func newFree() stt.Recognizer { return &free{results: make(chan stt.Result, 1)} }

func (*free) Name() string                                            { return "free" }
func (*free) Supports(string) bool                                    { return true }
func (*free) Close() error                                            { return nil }
func (f *free) Open(context.Context, stt.Options) (stt.Stream, error) { return f, nil }
func (f *free) Send(_ context.Context, pcm []byte) error              { return f.answer(len(pcm), false) }
func (f *free) Finalize(context.Context) error                        { return f.answer(0, true) }

func (f *free) answer(size int, flushed bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent += duration(int64(size / 2))
	f.pieces++
	r := stt.Result{Start: f.final, End: f.sent, Final: flushed || f.pieces%30 == 0, Flushed: flushed}
	r.Words = []stt.Word{{Text: "word", Start: f.final, End: f.sent}}
	select {
	case f.results <- r:
		if r.Final {
			f.final = f.sent
		}
	default: // nobody has time for it; the next one says the same
	}
	return nil
}

func (f *free) CloseSend(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.results)
	}
	return nil
}

func (f *free) Recv(ctx context.Context) (stt.Result, error) {
	select {
	case r, ok := <-f.results:
		if !ok {
			return r, io.EOF
		}
		return r, nil
	case <-ctx.Done():
		return stt.Result{}, ctx.Err()
	}
}

// recording is a few seconds of speech, in Opus packets of 20 ms.
func recording(b *testing.B) [][]byte {
	b.Helper()
	file, err := os.ReadFile("../audio/testdata/silk20.opus")
	if err != nil {
		b.Fatal(err)
	}
	r, _, err := oggreader.NewWith(bytes.NewReader(file))
	if err != nil {
		b.Fatal(err)
	}
	var packets [][]byte
	for {
		packet, _, err := r.ParseNextPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		if !bytes.HasPrefix(packet, []byte("OpusTags")) {
			packets = append(packets, packet)
		}
	}
	for len(packets) < 150 {
		packets = append(packets, packets...)
	}
	return packets
}

func opus(b *testing.B) *audio.Decoder {
	b.Helper()
	d, err := audio.NewDecoder(audio.OpusFS320, sampleRate)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func decoded(b *testing.B, packets [][]byte) [][]int16 {
	b.Helper()
	decoder := opus(b)
	pcm := make([][]int16, len(packets))
	for i, packet := range packets {
		var err error
		if pcm[i], err = decoder.Decode(nil, packet); err != nil {
			b.Fatal(err)
		}
	}
	return pcm
}

// octets are samples as they are sent.
func octets(pcm [][]int16) [][]byte {
	packets := make([][]byte, len(pcm))
	for i, samples := range pcm {
		packets[i] = appendPCM(nil, samples)
	}
	return packets
}
