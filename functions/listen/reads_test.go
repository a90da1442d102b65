package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/audio"
	"earshot.dev/functions/listen/session"
	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/account"
	"earshot.dev/shared/cached"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/redisclient"
	"earshot.dev/shared/redistest"
	"earshot.dev/shared/store"
	"earshot.dev/shared/transcript"
)

// bridge leads out of a bubble of virtual time: what is called through it happens outside, where connections are, and
// no time passes in the bubble meanwhile. So its channels are made outside.
type bridge struct {
	store *cached.Store
	calls chan func()
	done  chan struct{}
	turn  chan struct{}
	words atomic.Int64 // of the conversation, as last committed
	cid   atomic.Value // its id
}

func newBridge(t *testing.T, s *cached.Store) *bridge {
	b := &bridge{store: s, calls: make(chan func()), done: make(chan struct{}), turn: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for call := range b.calls {
			call()
			b.done <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		close(b.calls)
		<-ended
	})
	return b
}

// outside is for calls that don't wait long: the context of the bubble stays in it.
func (b *bridge) outside(call func(ctx context.Context)) {
	b.turn <- struct{}{}
	b.calls <- func() { call(context.Background()) }
	<-b.done
	<-b.turn
}

func (b *bridge) Attach(_ context.Context, uid string, a conversation.Attachment) (c conversation.Conversation, p transcript.Page, err error) {
	b.outside(func(ctx context.Context) { c, p, err = b.store.Attach(ctx, uid, a) })
	return c, p, err
}

func (b *bridge) Commit(_ context.Context, uid string, c *conversation.Conversation, pages ...transcript.Page) (err error) {
	b.outside(func(ctx context.Context) { err = b.store.Commit(ctx, uid, c, pages...) })
	b.words.Store(int64(c.Words))
	b.cid.Store(c.ID)
	return err
}

func (b *bridge) Tail(_ context.Context, uid, cid string) (c conversation.Conversation, p transcript.Page, err error) {
	b.outside(func(ctx context.Context) { c, p, err = b.store.Tail(ctx, uid, cid) })
	return c, p, err
}

func (b *bridge) Acknowledge(_ context.Context, uid string, s conversation.Silence) (deviceTime time.Time, err error) {
	b.outside(func(ctx context.Context) { deviceTime, err = b.store.Acknowledge(ctx, uid, s) })
	return deviceTime, err
}

func (b *bridge) Contend(_ context.Context, uid, device string, at time.Time) (err error) {
	b.outside(func(ctx context.Context) { err = b.store.Contend(ctx, uid, device, at) })
	return err
}

func (b *bridge) CommitPhoto(_ context.Context, uid string, c *conversation.Conversation, p conversation.Photo, pages ...transcript.Page) (err error) {
	b.outside(func(ctx context.Context) { err = b.store.CommitPhoto(ctx, uid, c, p, pages...) })
	return err
}

func (b *bridge) Segments(_ context.Context, uid, cid string) (s []transcript.Segment, err error) {
	b.outside(func(ctx context.Context) { s, err = b.store.Segments(ctx, uid, cid) })
	return s, err
}

func (b *bridge) Newest(_ context.Context, uid string) (cid string, err error) {
	b.outside(func(ctx context.Context) { cid, err = b.store.Newest(ctx, uid) })
	return cid, err
}

// Finished waits for what doesn't happen in this test: nothing ends.
func (b *bridge) Finished(ctx context.Context, _, _ string) (conversation.Conversation, error) {
	<-ctx.Done()
	return conversation.Conversation{}, ctx.Err()
}

// Publish has usage counted as functions/usage does.
func (b *bridge) Publish(_ context.Context, e event.Event) error {
	if e.Type != event.UsageRecorded {
		return nil
	}
	told, err := event.Decode[event.Usage](e)
	if err == nil {
		b.outside(func(ctx context.Context) {
			_, err = b.store.RecordUsage(ctx, told.UID, told.ConversationID, told.Hours)
		})
	}
	return err
}

// pause is how long nothing is said after each second of speech: an hour of audio would take a minute to look through.
const pause = 5 * time.Second

// speech is a socket on which somebody talks until it is closed: noise that passes for speech, a fifth of a second in
// each frame.
type speech struct {
	frames int
	next   time.Time
	closed chan struct{}
}

func (s *speech) Read() (bool, []byte, error) {
	const length = time.Second / 5
	if s.next.IsZero() {
		s.next = time.Now()
	}
	s.next = s.next.Add(length)
	if s.frames%5 == 0 {
		s.next = s.next.Add(pause)
	}
	select {
	case <-time.After(time.Until(s.next)):
	case <-s.closed:
		return false, nil, &wire.CloseError{Code: wire.CloseAbnormal, Err: net.ErrClosed}
	}
	s.frames++
	loud := uint32(16_384)
	if s.frames%3 == 0 {
		loud = 16
	}
	seed := uint32(s.frames)
	var pcm []byte
	for range 16_000 * length / time.Second {
		seed = seed*1664525 + 1013904223
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(seed>>16%loud))
	}
	return true, pcm, nil
}

func (*speech) Heard() time.Time { return time.Now() }

func (*speech) Write(context.Context, []byte) error { return nil }

func (s *speech) Close(int, string) { close(s.closed) }

// ear is a recogniser that hears a sentence in each second of what it is sent.
type ear struct {
	heard   int // samples
	results chan stt.Result
}

func (*ear) Name() string         { return "ear" }
func (*ear) Supports(string) bool { return true }
func (*ear) Close() error         { return nil }

func (*ear) Open(context.Context, stt.Options) (stt.Stream, error) {
	return &ear{results: make(chan stt.Result, 1000)}, nil
}

func (e *ear) Send(_ context.Context, pcm []byte) error {
	const second = 16_000
	before := e.heard / second
	if e.heard += len(pcm) / 2; e.heard/second > before {
		end := time.Duration(e.heard) * time.Second / second
		word := stt.Word{Text: "Something was said.", Start: end - time.Second/2, End: end, Speaker: before / 60 % 2}
		e.results <- stt.Result{Final: true, End: end, Words: []stt.Word{word}}
	}
	return nil
}

func (e *ear) Finalize(context.Context) error {
	e.results <- stt.Result{Final: true, Flushed: true, End: time.Duration(e.heard) * time.Second / 16_000}
	return nil
}

func (e *ear) CloseSend(context.Context) error {
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
	case <-ctx.Done():
		return stt.Result{}, ctx.Err()
	}
}

// longest is how long a session may last (SESSION_AGE): then its client has to come again.
const longest = 55 * time.Minute

// What a session reads it reads when it begins, and after that only who counts its usage reads, an hour's document with
// each report; so that an hour of sessions costs at most 10 reads of Firestore. The second one goes on with the
// conversation of the first, which costs most, and finds nothing in Redis. The documents are in a real store, behind the
// real client; only the time of the sessions is virtual. Who has none of the webhooks, or one, costs a read for them; each
// more costs one more.
func TestReadsOfAnHour(t *testing.T) {
	firestore, err := firestoretest.NewServer(firestoretest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(firestore.Close)
	t.Setenv("FIRESTORE_EMULATOR_HOST", firestore.Addr())
	redis := redistest.New(t)
	first, second := open(t, redis), open(t, redis)
	if err := first.PutProfile(t.Context(), "anna", account.Profile{Plan: "basic"}); err != nil {
		t.Fatal(err)
	}
	err = first.ChangeWebhook(t.Context(), "anna", account.AudioBytes, func(w *account.Webhook) {
		*w = account.Webhook{URL: "https://example.com,10", Enabled: true}
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := newBridge(t, first), newBridge(t, second)
	synctest.Test(t, func(t *testing.T) {
		visit(t, a, firestore, longest)
		a.outside(func(context.Context) {
			if err := redis.Restart(); err != nil {
				t.Error(err)
			}
		})
		visit(t, b, firestore, 5*time.Minute)
	})
	if a.cid.Load() != b.cid.Load() {
		t.Error("the second session was to go on with the conversation of the first")
	}
}

func open(t *testing.T, redis *redistest.Server) *cached.Store {
	t.Helper()
	documents, err := store.Open(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	rdb, err := redisclient.Open(redisclient.Config{URL: "redis://" + redis.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	db := cached.New(documents, rdb)
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), rdb.Close()); err != nil {
			t.Error(err)
		}
	})
	return db
}

// visit is a session from the door on that lasts so long, and checks what it read.
func visit(t *testing.T, b *bridge, firestore *firestoretest.Server, lasts time.Duration) {
	t.Helper()
	var params session.Params
	b.outside(func(ctx context.Context) {
		firestore.ResetBill()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v4/listen?codec=pcm16&sample_rate=16000&language=en", nil)
		r.Header.Set("X-Device-Id-Hash", "phone")
		d := door{recognizer: &ear{}, store: b.store, read: b.store.Read, limits: limits{SessionAge: longest}}
		profile, err := b.store.Read.Admit(ctx, "anna", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		v := visitor{"anna", profile}
		if params, _, err = d.admit(ctx, v, r); err != nil {
			t.Fatal(err)
		}
	})
	if params.Relay != 10*time.Second || params.Append {
		t.Errorf("words are told: %v, and audio each %v; want audio alone, each 10 s", params.Append, params.Relay)
	}
	decoder, err := audio.NewDecoder(audio.PCM16, 16_000)
	if err != nil {
		t.Fatal(err)
	}
	params.ID = lasts.String()
	s := session.New(params, &speech{closed: make(chan struct{})}, []session.Decoder{decoder}, &ear{}, b, b)
	ended := make(chan *session.Reason, 1)
	go func() { ended <- s.Run(t.Context()) }()
	<-time.After(time.Minute)
	begun := b.bill(firestore)
	<-time.After(lasts - time.Minute)
	s.Stop(session.Drained)
	reason := <-ended
	whole := b.bill(firestore)
	t.Logf("%s, ended as %s: %d reads to begin, %d in all, %d writes", lasts, reason.Name, begun.Reads, whole.Reads, whole.Writes)
	if hourly := float64(whole.Reads) * float64(time.Hour) / float64(longest); hourly > 10 {
		t.Errorf("%d reads of a session: %.1f an hour, want 10 at most", whole.Reads, hourly)
	}
	if least := int64(lasts / (time.Second + pause) * 8 / 10); whole.Writes < least || b.words.Load() < least {
		t.Errorf("%d writes and %d words, want %d or more of each: nobody has talked", whole.Writes, b.words.Load(), least)
	}
}

func (b *bridge) bill(firestore *firestoretest.Server) (total firestoretest.Usage) {
	b.outside(func(context.Context) { total = firestore.Total() })
	return total
}
