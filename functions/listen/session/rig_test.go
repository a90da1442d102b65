package session

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/usage"
)

// ear is a recogniser whose results the test dictates: say makes words final at once, murmur leaves them to the
// next finalize or to the end.
type ear struct {
	mu       sync.Mutex
	sent     time.Duration
	murmured []string
	results  chan stt.Result
	closed   bool // results
	err      chan error
	openErr  error
	mute     bool // answers neither a finalize nor a half-close
	opened   bool
	second   *ear // of the second channel
}

func newEar() *ear {
	return &ear{results: make(chan stt.Result, 1000), err: make(chan error, 1)}
}

func (*ear) Name() string         { return "ear" }
func (*ear) Supports(string) bool { return true }
func (e *ear) Close() error       { return nil }

func (e *ear) Open(context.Context, stt.Options) (stt.Stream, error) {
	if e.opened {
		e.second = newEar()
		return e.second, e.openErr
	}
	e.opened = true
	return e, e.openErr
}

func (e *ear) Send(_ context.Context, pcm []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent += duration(int64(len(pcm) / 2))
	return nil
}

func (e *ear) Finalize(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mute {
		return nil
	}
	e.results <- e.final(e.murmured, true)
	e.murmured = nil
	return nil
}

func (e *ear) CloseSend(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mute {
		return nil
	}
	e.results <- e.final(e.murmured, true)
	e.closed = true
	close(e.results)
	return nil
}

func (e *ear) Recv(ctx context.Context) (stt.Result, error) {
	select {
	case r, ok := <-e.results:
		if !ok {
			return r, io.EOF
		}
		return r, nil
	case err := <-e.err:
		return stt.Result{}, err
	case <-ctx.Done():
		return stt.Result{}, ctx.Err()
	}
}

// final makes words that all were said at the end of what was sent.
func (e *ear) final(words []string, flushed bool) stt.Result {
	r := stt.Result{Final: true, Flushed: flushed, End: e.sent}
	for _, w := range words {
		r.Words = append(r.Words, stt.Word{Text: w, Start: e.sent - time.Millisecond, End: e.sent, Speaker: stt.UnknownSpeaker})
	}
	return r
}

// say and murmur report whether the stream still was open to hear it.
func (e *ear) say(words ...string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.results <- e.final(words, false)
	}
	return !e.closed
}

// hint gives words that may still change.
func (e *ear) hint(words ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.final(words, false)
	r.Final = false
	e.results <- r
}

func (e *ear) murmur(words ...string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.murmured = append(e.murmured, words...)
	}
	return !e.closed
}

// line is a socket whose other end is the test. Like a real one, it breaks when the context of a Write ends.
type line struct {
	mu      sync.Mutex
	in      chan frame
	sent    []string
	code    int
	reason  string
	closed  chan struct{}
	heard   time.Time
	stalled chan struct{} // not nil: writes wait for it
}

func newLine() *line {
	return &line{in: make(chan frame), closed: make(chan struct{}), heard: time.Now()}
}

func (l *line) Read() (bool, []byte, error) {
	select {
	case f, ok := <-l.in:
		if !ok {
			return false, nil, &wire.CloseError{Code: wire.CloseAbnormal, Err: io.EOF}
		}
		l.ping()
		return f.binary, f.data, nil
	case <-l.closed:
		return false, nil, &wire.CloseError{Code: wire.CloseAbnormal, Err: errClosed}
	}
}

// ping is heard, and nothing is read.
func (l *line) ping() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = time.Now()
}

func (l *line) Heard() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}

var errClosed = errors.New("use of closed connection")

func (l *line) Write(ctx context.Context, data []byte) error {
	l.mu.Lock()
	stalled := l.stalled
	l.mu.Unlock()
	if stalled != nil {
		select {
		case <-stalled:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		l.Close(wire.CloseAbnormal, "")
		return ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if string(data) != string(wire.Ping) {
		l.sent = append(l.sent, string(data))
	}
	return nil
}

// stall lets writes wait until the channel is closed.
func (l *line) stall() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = make(chan struct{})
	return l.stalled
}

func (l *line) Close(code int, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.code == 0 {
		l.code, l.reason = code, reason
		close(l.closed)
	}
}

func (l *line) told(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.sent, func(s string) bool { return strings.Contains(s, part) })
}

// babbler is a decoder that hears 20 ms of babble in every packet: bursts of noise with pauses between, which are
// no words and pass for speech. It hears nothing in a packet of "silence".
type babbler struct{ packets int }

func (b *babbler) Decode(dst []int16, packet []byte) ([]int16, error) {
	if string(packet) == "garbage" {
		return dst, errors.New("not a packet")
	}
	if string(packet) == "silence" {
		return append(dst, make([]int16, sampleRate/50)...), nil
	}
	b.packets++
	seed := uint32(b.packets)
	for range sampleRate / 50 {
		seed = seed*1664525 + 1013904223
		sample := int16(seed>>16) / 4
		if b.packets%15 > 10 {
			sample /= 1000
		}
		dst = append(dst, sample)
	}
	return dst, nil
}

// rig is a session with everything around it.
type rig struct {
	t       *testing.T
	store   *memory
	board   *board
	ear     *ear
	line    *line
	session *Session
	reason  chan *Reason
	number  uint32 // of the last numbered frame

	instance *Registry // where it runs; nil: by itself
}

// start runs a session of the device; it shares store and board with another rig, if one is given.
func start(t *testing.T, id string, with *rig) *rig {
	t.Helper()
	return startWith(t, Params{ID: id}, 1, with)
}

// startWith runs a session that is special in some ways.
func startWith(t *testing.T, p Params, channels int, with *rig) *rig {
	t.Helper()
	r := newRigWith(t, with)
	var decoders []Decoder
	for range channels {
		decoders = append(decoders, &babbler{})
	}
	r.run(p, r.line, decoders, r.ear, r.board)
	return r
}

// newRig is a rig whose session is still to be run.
func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{t: t, store: newMemory(), board: &board{}, ear: newEar(), line: newLine(), reason: make(chan *Reason, 1)}
}

// newRigWith is newRig; it shares store and board with another rig, if one is given.
func newRigWith(t *testing.T, with *rig) *rig {
	t.Helper()
	r := newRig(t)
	if with != nil {
		r.store, r.board = with.store, with.board
	}
	return r
}

// run runs the session of a rig, with what is around it.
func (r *rig) run(p Params, socket Socket, decoders []Decoder, recognizer stt.Recognizer, publisher Publisher) {
	p.UID, p.Device, p.Source, p.Language, p.SilenceTimeout = "u", "d", "omi", "en", 2*time.Minute
	r.session = New(p, socket, decoders, recognizer, r.store, publisher)
	go r.live()
}

// live is the session's life.
func (r *rig) live() {
	if r.instance == nil {
		r.reason <- r.session.Run(r.t.Context())
		return
	}
	if err := r.instance.Run(r.t.Context(), r.session); err != nil {
		r.t.Error(err)
	}
	r.reason <- r.session.reason()
}

// audio sends packets of 20 ms in real time.
func (r *rig) audio(d time.Duration) {
	for range d / (20 * time.Millisecond) {
		r.frame(true, "packet")
		pass(20 * time.Millisecond)
	}
}

// numbered sends the next numbered packets, of 20 ms each, in real time.
func (r *rig) numbered(n int) { r.packets(n, "packet") }

func (r *rig) packets(n int, packet string) {
	for range n {
		r.number++
		r.frame(true, numberedPacket(r.number)[:4]+packet)
		pass(20 * time.Millisecond)
	}
}

// burst sends the next numbered packets, of 20 ms each, at once.
func (r *rig) burst(n int) {
	for range n {
		r.number++
		r.frame(true, numberedPacket(r.number))
	}
}

func numberedPacket(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) + "packet" }

// acked is the last number that was acknowledged.
func (r *rig) acked() uint32 {
	r.line.mu.Lock()
	defer r.line.mu.Unlock()
	var m struct {
		Type     string `json:"type"`
		Sequence uint32 `json:"sequence"`
	}
	for _, sent := range slices.Backward(r.line.sent) {
		if json.Unmarshal([]byte(sent), &m) == nil && m.Type == "audio_ack" {
			return m.Sequence
		}
	}
	return 0
}

// pass lets time go by, which is virtual: every test that uses it runs in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

func (r *rig) frame(binary bool, data string) {
	select {
	case r.line.in <- frame{binary: binary, data: []byte(data)}:
	case <-r.line.closed:
	}
}

// ended waits for the session's end and checks its reason.
func (r *rig) ended(want *Reason) {
	r.t.Helper()
	got := <-r.reason
	if got != want || r.line.code != want.Code {
		r.t.Errorf("ended as %s with code %d, want %s with %d", got.Name, r.line.code, want.Name, want.Code)
	}
}

func (r *rig) stored(want ...string) {
	r.t.Helper()
	var got []string
	for _, words := range r.store.words() {
		got = append(got, strings.Join(words, " "))
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("stored conversations: got %q, want %q", got, want)
	}
}

// counted is what a stored conversation used, over all hours.
func (r *rig) counted(cid string) (total usage.Totals) {
	for _, t := range r.store.get(cid).Usage {
		total = total.Add(t)
	}
	return total
}
