package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
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
	frames := framed(packets)
	b.Run("bare", func(b *testing.B) {
		taken := make(chan struct{})
		h := serve(b, bare(b, func(ctx context.Context, conn *websocket.Conn) {
			for range b.N {
				if _, _, err := conn.Read(ctx); err != nil {
					b.Error(err)
				}
			}
			close(taken)
			_, _, _ = conn.Read(ctx) // until the other side is gone
		}))
		p := h.connect(false)
		b.ResetTimer()
		if err := p.send(frames, b.N); err != nil {
			b.Fatal(err)
		}
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
		stream := &free{results: make(chan struct{}, 1)}
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
		h := serve(b, func(w http.ResponseWriter, r *http.Request) { converse(b, w, r, decoder, newFree()) })
		p := h.connect(true)
		go p.ignore()
		b.ReportAllocs()
		b.ResetTimer()
		if err := p.send(frames, b.N); err != nil {
			b.Fatal(err)
		}
		<-taken
		b.StopTimer()
		h.close(p)
	}
	b.Run("session", session)
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())))
	b.Run("measured", session) // the same, where somebody takes the metrics
}

// BenchmarkMemory is what a session holds, of heap and stacks, beside a bare WebSocket: idle as it is while nobody has
// spoken, active while somebody speaks in real time, all of which becomes final each 3 s. The Opus decoder has 160 KB
// of its own. In recognised there is the recogniser of production as well, failover and Deepgram's client, which keep what
// isn't final: 3 s of it are 96 KB.
func BenchmarkMemory(b *testing.B) {
	packets := recording(b)[:300]
	b.Run("bare", func(b *testing.B) {
		hold(b, nil, bare(b, func(ctx context.Context, conn *websocket.Conn) {
			if err := conn.Write(ctx, websocket.MessageText, []byte(wire.Ready)); err != nil {
				b.Error(err)
			}
			_, _, _ = conn.Read(ctx) // until it is cut
		}))
	})
	for _, tt := range []struct {
		codec   audio.Codec
		packets [][]byte
	}{{audio.PCM16, octets(decoded(b, packets))}, {audio.OpusFS320, packets}} {
		for name, spoken := range map[string][][]byte{"idle": nil, "active": tt.packets} {
			run := func(b *testing.B, r func() stt.Recognizer) {
				hold(b, spoken, func(w http.ResponseWriter, req *http.Request) {
					decoder, err := audio.NewDecoder(tt.codec, sampleRate)
					if err != nil {
						b.Error(err)
						return
					}
					converse(b, w, req, decoder, r())
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

// hold opens connections, sends the packets to each, one each 20 ms, and reports what one takes each half second of the second
// half of them: the mean, and the most.
func hold(b *testing.B, packets [][]byte, visit http.HandlerFunc) {
	b.Helper()
	const sessions = 200
	frames := framed(packets)
	for b.Loop() {
		before := held()
		h := serve(b, visit)
		peers := make([]*peer, sessions)
		for i := range peers {
			peers[i] = h.connect(true)
			peers[i].answers = nil // it is the client's
		}
		var samples, sum, peak uint64
		sample := func() {
			taken := held() - before
			samples, sum, peak = samples+1, sum+taken, max(peak, taken)
		}
		tick := time.NewTicker(20 * time.Millisecond)
		for i := range frames {
			<-tick.C
			for _, p := range peers {
				if err := p.send(frames[i:], 1); err != nil {
					b.Fatal(err)
				}
			}
			if i >= len(frames)/2 && i%25 == 0 {
				sample()
			}
		}
		tick.Stop()
		if len(frames) == 0 {
			sample()
		}
		b.ReportMetric(float64(sum)/float64(samples)/sessions, "B/session")
		b.ReportMetric(float64(peak)/sessions, "peak-B/session")
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

// bare is the WebSocket library alone.
func bare(b *testing.B, visit func(context.Context, *websocket.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			b.Error(err)
			return
		}
		visit(context.WithoutCancel(r.Context()), conn) // one that can end would cost more
		_ = conn.CloseNow()                             // the other side is gone
	}
}

// converse has a session at the other end of a connection.
func converse(b *testing.B, w http.ResponseWriter, r *http.Request, decoder Decoder, recognizer stt.Recognizer) {
	socket, err := wire.Accept(w, r, 1<<16)
	if err != nil {
		b.Error(err)
		return
	}
	New(Params{
		ID: "s", UID: "u", Device: "d", Language: "en", SilenceTimeout: time.Hour,
	}, socket, []Decoder{decoder}, recognizer, newMemory(), &board{}).Run(r.Context())
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
// final. Who doesn't take a result in time gets one that says as much as both.
type free struct {
	mu      sync.Mutex
	sent    time.Duration
	final   time.Duration
	pieces  int
	closed  bool
	next    stt.Result    // of what was heard since the last one was taken
	results chan struct{} // has an element when there is one to take; closed after the last
}

func newFree() stt.Recognizer { return &free{results: make(chan struct{}, 1)} }

func (*free) Name() string                                            { return "free" }
func (*free) Supports(string) bool                                    { return true }
func (*free) Close() error                                            { return nil }
func (f *free) Open(context.Context, stt.Options) (stt.Stream, error) { return f, nil }
func (f *free) Send(_ context.Context, pcm []byte) error              { return f.hear(len(pcm), false) }
func (f *free) Finalize(context.Context) error                        { return f.hear(0, true) }

func (f *free) hear(size int, flushed bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent += duration(int64(size / 2))
	f.pieces++
	f.next.Flushed = f.next.Flushed || flushed
	f.next.Final = f.next.Final || flushed || f.pieces%30 == 0
	select {
	case f.results <- struct{}{}:
	default:
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
	case _, ok := <-f.results:
		if !ok {
			return stt.Result{}, io.EOF
		}
	case <-ctx.Done():
		return stt.Result{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.next
	r.Start, r.End = f.final, f.sent
	r.Words = []stt.Word{{Text: "word", Start: f.final, End: f.sent}}
	if f.next = (stt.Result{}); r.Final {
		f.final = f.sent
	}
	return r, nil
}

func recording(b *testing.B) [][]byte {
	b.Helper()
	packets, err := recorded()
	if err != nil {
		b.Fatal(err)
	}
	return packets
}

// recorded is a few seconds of speech, in Opus packets of 20 ms.
func recorded() ([][]byte, error) {
	file, err := os.ReadFile("../audio/testdata/silk20.opus")
	if err != nil {
		return nil, err
	}
	r, _, err := oggreader.NewWith(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	var packets [][]byte
	for {
		packet, _, err := r.ParseNextPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(packet, []byte("OpusTags")) {
			packets = append(packets, packet)
		}
	}
	for len(packets) < 300 {
		packets = append(packets, packets...)
	}
	return packets, nil
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
