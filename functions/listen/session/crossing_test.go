package session

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
)

// The tests of this file are about ends that come together with something else.

// down is a Pub/Sub that doesn't answer until a publisher gives up.
type down struct{}

func (down) Publish(ctx context.Context, _ event.Event) error {
	select {
	case <-time.After(7 * time.Second):
	case <-ctx.Done():
	}
	return fault.Newf(fault.Unavailable, "publish", "down")
}

// sentSoFar is how much the ear was sent.
func (e *ear) sentSoFar() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sent
}

// Words are stored while the end before them waits to be told.
func TestEndThatCannotBeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run(Params{ID: "s1"}, r.line, []Decoder{&babbler{}}, r.ear, down{})
		pass(time.Second)
		r.audio(2 * time.Second)
		r.ear.say("before.")
		pass(3 * time.Second)
		r.frame(false, `{"type":"finalization_reason","reason":"finish_and_continue"}`)
		pass(100 * time.Millisecond)
		r.audio(2 * time.Second)
		r.ear.say("after.")
		pass(500 * time.Millisecond)
		close(r.line.in)
		r.ended(ClientGone)
		r.stored("before.", "after.")
	})
}

// Of a session that is cut soon after an end, the words before the end are whole, and belong to what ended.
func TestCutSoonAfterAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, numbered, 1, nil)
		pass(time.Second)
		r.numbered(100)
		r.ear.mute = true
		r.frame(false, `{"type":"end"}`)
		pass(time.Millisecond)
		at := r.ear.sentSoFar()
		r.numbered(10)
		r.session.Stop(Drained)
		pass(100 * time.Millisecond)
		r.ear.results <- stt.Result{Final: true, Flushed: true, End: at, Words: []stt.Word{
			{Text: "before.", Start: at - 300*time.Millisecond, End: at - 50*time.Millisecond, Speaker: stt.UnknownSpeaker},
		}}
		pass(100 * time.Millisecond)
		close(r.ear.results)
		r.ended(Drained)
		if c := r.store.get("c1"); c.Status != conversation.Ended || c.Words != 1 {
			t.Errorf("what ended is %s and has %d words, want ended with the one before the end", c.Status, c.Words)
		}
	})
}

// A session that doesn't know that its client is gone takes silence for the end of a conversation in which another goes on.
func TestSilenceOfWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := start(t, "s1", nil)
		pass(time.Second)
		a.audio(2 * time.Second)
		a.ear.say("one.")
		for range 40 * 50 { // 40 s
			a.frame(true, "silence")
			pass(20 * time.Millisecond)
		}
		pass(20 * time.Second) // it is cut, and nobody notices
		b := start(t, "s2", a) // on another instance
		pass(time.Second)
		b.audio(2 * time.Second)
		b.ear.say("two.")
		b.audio(60 * time.Second)
		b.ear.say("three.")
		b.audio(10 * time.Second)
		if c := a.store.get("c1"); c.Status != conversation.Live || c.Words != 3 {
			t.Errorf("the conversation is %s (%s) with %d words, %v after the last", c.Status, c.EndReason, c.Words, time.Since(c.FinishedAt))
		}
		b.session.Stop(Drained)
		b.ended(Drained)
		a.session.Stop(Drained)
		<-a.reason
	})
}

// polite is a socket whose library answers a close frame: nothing can be written from then on.
type polite struct {
	*line
	gone atomic.Bool
}

func (l *polite) Write(ctx context.Context, data []byte) error {
	if l.gone.Load() {
		return errClosed
	}
	return l.line.Write(ctx, data)
}

func (l *polite) Read() (bool, []byte, error) {
	f, ok := <-l.in
	if !ok {
		l.gone.Store(true)
		return false, nil, &wire.CloseError{Code: wire.CloseNormal, Err: errClosed}
	}
	return f.binary, f.data, nil
}

// late is a recogniser that takes a while to open.
type late struct{ *ear }

func (e late) Open(ctx context.Context, o stt.Options) (stt.Stream, error) {
	pass(300 * time.Millisecond)
	return e.ear.Open(ctx, o)
}

// Who says all there is, ends it and says goodbye before the session is open, is obeyed all the same.
func TestGoodbyeBeforeItIsOpen(t *testing.T) {
	for range 20 { // what is ready at the same time comes in any order
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.run(Params{ID: "s1"}, &polite{line: r.line}, []Decoder{&babbler{}}, late{r.ear}, r.board)
			for range 100 {
				r.line.in <- frame{binary: true, data: []byte("packet")}
			}
			r.line.in <- frame{data: []byte(`{"type":"finalization_reason","reason":"user_stop"}`)}
			close(r.line.in)
			r.ear.murmur("word.")
			r.ended(ClientClosed)
			if c := r.store.get("c1"); c.Status != conversation.Ended || c.EndReason != conversation.EndReason("user_stop") {
				t.Errorf("the conversation is %s (%s), want that its end was obeyed", c.Status, c.EndReason)
			}
		})
	}
}

// lasting is a decoder whose packets are 2 s long.
type lasting struct{ babbler }

func (d *lasting) Decode(dst []int16, packet []byte) (_ []int16, err error) {
	for range 100 {
		if dst, err = d.babbler.Decode(dst, packet); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// Of a device's very first packet a part is stored when the session is cut: only the rest is heard again.
func TestStoredPartOfTheFirstPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, again := newRig(t), newRig(t)
		again.store, again.board = first.store, first.board
		speak := func(r *rig, id string) time.Duration {
			r.run(Params{ID: id, Numbered: true}, r.line, []Decoder{&lasting{}}, r.ear, r.board)
			pass(time.Second)
			r.burst(1)
			pass(50 * time.Millisecond)
			return r.ear.sentSoFar()
		}
		whole := speak(first, "s1")
		first.ear.results <- stt.Result{Final: true, End: time.Second, Words: []stt.Word{
			{Text: "one.", Start: 500 * time.Millisecond, End: 900 * time.Millisecond, Speaker: stt.UnknownSpeaker},
		}}
		pass(2500 * time.Millisecond)
		close(first.line.in)
		<-first.reason
		if rest := speak(again, "s2"); rest > whole-900*time.Millisecond {
			t.Errorf("of %v, %v are heard again, and a word that ended at 900ms is stored", whole, rest)
		}
		again.session.Stop(Drained)
		again.ended(Drained)
	})
}
