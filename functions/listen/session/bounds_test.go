package session

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// However many frames come while nothing is known of them, the ledger stays small, and never tells more than is known.
func TestLedgerIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // nothing is secret
	l := &ledger{}
	var came [][wire.MaxChannels]uint32 // where the channels end after each frame
	var ends [wire.MaxChannels]uint32
	for sequence := uint32(1); sequence <= 50*maxLedger; sequence++ {
		channel := r.IntN(wire.MaxChannels)
		ends[channel] += r.Uint32N(320)
		came = append(came, ends)
		l.enter(sequence, channel, ends[channel])
		if len(l.frames) > maxLedger || cap(l.frames) > 2*maxLedger {
			t.Fatalf("%d frames are kept, in room for %d; want %d at most", len(l.frames), cap(l.frames), maxLedger)
		}
	}
	told := uint32(0)
	for part := range uint32(100) {
		var positions [wire.MaxChannels]uint32
		for channel, end := range ends {
			positions[channel] = end / 100 * part
		}
		sequence, at := l.settle(positions)
		if sequence < told {
			t.Fatalf("told %d after %d", sequence, told)
		}
		if told = sequence; told == 0 {
			continue
		}
		for channel, end := range came[told-1] {
			if end > positions[channel] || at[channel] != end {
				t.Fatalf("told %d, whose audio ends at %v, where %v is known; its ends are told as %v", told, came[told-1], positions, at)
			}
		}
	}
	if told < 45*maxLedger {
		t.Errorf("told %d where 99 %% is known", told)
	}
	if sequence, _ := l.settle(ends); sequence != 50*maxLedger {
		t.Errorf("told %d where all is known, want the last", sequence)
	}
}

// A client that ends and ends is not remembered for each time.
func TestEndAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "s1", nil)
		r.audio(time.Second)
		r.ear.say("word.")
		for range 1000 {
			r.frame(false, `{"type":"end"}`)
		}
		pass(time.Second)
		in := r.session.intakes[0]
		in.mu.Lock()
		if n := len(in.asked); n > 2 {
			t.Errorf("%d finalizes are remembered", n)
		}
		in.mu.Unlock()
		r.session.Stop(Drained)
		r.ended(Drained)
		r.stored("word.")
	})
}

// What comes while a session is opened takes room even where it is empty.
func TestEarlyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, data := range []string{"", "\x8a\x00", strings.Repeat("x", 65536)} {
			e := &early{opened: make(chan struct{})}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 2 * maxEarly / frameSize {
					e.keep(frame{binary: true, data: []byte(data)})
				}
			}()
			synctest.Wait()
			if most := maxEarly/(frameSize+len(data)) + 1; len(e.frames) > most {
				t.Errorf("%d frames of %d bytes are kept, want %d at most", len(e.frames), len(data), most)
			}
			e.fail()
			<-done
		}
	})
}

// darkroom is a store that stores no image until it is opened, or never.
type darkroom struct {
	*memory
	opened chan struct{}
	err    error
}

func (d *darkroom) CommitPhoto(ctx context.Context, uid string, c *conversation.Conversation, p conversation.Photo, pages ...transcript.Page) error {
	select {
	case <-d.opened:
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "store photo", ctx.Err())
	}
	if d.err != nil {
		return d.err
	}
	return d.memory.CommitPhoto(ctx, uid, c, p, pages...)
}

// Images that can't be stored now are kept up to a limit, and those that can't be stored at all cost no word.
func TestImagesThatAreNotStored(t *testing.T) {
	part := base64.StdEncoding.EncodeToString(make([]byte, 45_000))
	for _, refused := range []error{nil, fault.New(fault.Internal, "store photo", errors.New("too large"))} {
		synctest.Test(t, func(t *testing.T) {
			d := &darkroom{newMemory(), make(chan struct{}), refused}
			r := &rig{t: t, store: d.memory, board: &board{}, ear: newEar(), line: newLine(), reason: make(chan *Reason, 1)}
			p := Params{ID: "s1", UID: "u", Device: "d", SilenceTimeout: 2 * time.Minute, MaxImages: 1000}
			r.session = New(p, r.line, []Decoder{&babbler{}}, r.ear, d, r.board)
			go func() { r.reason <- r.session.Run(t.Context()) }()
			for image := range 90 {
				r.frame(false, fmt.Sprintf(`{"type":"image_chunk","id":"%d","index":0,"total":1,"data":%q}`, image, part))
			}
			pass(time.Second)
			close(d.opened)
			r.audio(time.Second)
			r.ear.say("word.")
			pass(5 * time.Second)
			r.session.Stop(Drained)
			r.ended(Drained)
			r.stored("word.")
			most := maxPhotos / 45_000
			if n := len(d.photos); n > most || refused == nil && n < most {
				t.Errorf("%d images were kept, want %d", n, most)
			}
		})
	}
}

// A client that has much told and reads nothing is let go before that fills the memory.
func TestSlowReaderOfMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", CustomSTT: true}, 1, nil)
		pass(time.Second)
		stalled := r.line.stall()
		segment := fmt.Sprintf(`{"text":%q,"start":0,"end":1}`, strings.Repeat("<", 3900)) // which is told in six times the bytes
		message := `{"type":"suggested_transcript","segments":[` + strings.Repeat(segment+",", 14) + segment + `]}`
		for range 15 { // fewer than may wait, of 350 KB each
			r.frame(false, message)
		}
		pass(time.Second)
		if queued := r.session.queued.Load(); queued > outboundBytes+1<<16 {
			t.Errorf("%d bytes wait to be told, want %d at most", queued, outboundBytes)
		}
		close(stalled)
		r.ended(ClientSlow)
	})
}

// A conversation is no longer than who reads it can bear: what is said then goes to the next one.
func TestLongConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", CustomSTT: true}, 1, nil)
		pass(time.Second)
		const at = 100 // segments in a message
		var want []string
		for len(want) < (maxPages+2)*transcript.PageSize {
			segments := make([]string, at)
			for i := range segments {
				word := fmt.Sprint("w", len(want))
				segments[i] = fmt.Sprintf(`{"text":%q,"speaker_id":%d,"start":%.1f,"end":%.1f}`,
					word, i%2, float64(len(want))/5, float64(len(want)+1)/5)
				want = append(want, word)
			}
			pass(at * time.Second / 5)
			r.frame(false, `{"type":"suggested_transcript","segments":[`+strings.Join(segments, ",")+`]}`)
		}
		pass(time.Second)
		r.stops()
		words := r.store.words()
		if len(words) != 2 || !slices.Equal(slices.Concat(words...), want) {
			t.Errorf("%d conversations, want each of %d words in one of 2, in order", len(words), len(want))
		}
		first := r.store.get("c1")
		if first.EndReason != conversation.EndFull || first.Pages < maxPages || first.Pages > maxPages+1 {
			t.Errorf("the first ended as %q with %d pages, want %d or one more", first.EndReason, first.Pages, maxPages)
		}
	})
}

// Words that can't be stored are kept up to a limit.
func TestUnsavedTextIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startWith(t, Params{ID: "s1", CustomSTT: true}, 1, nil)
		r.store.setHook(func(conversation.Conversation, func() error) error {
			return fault.New(fault.Unavailable, "commit", errors.New("down"))
		})
		suggest := func(every time.Duration) {
			r.frame(false, fmt.Sprintf(`{"type":"suggested_transcript","segments":[{"id":%q,"text":%q,"start":0,"end":1}]}`,
				uuid.NewString(), strings.Repeat("x", 3900)))
			pass(every)
		}
		for n := 0; n <= maxUnsavedText/3900 && r.session.stopping.Err() == nil; n++ {
			suggest(100 * time.Millisecond)
		}
		for range 500 { // as fast as it goes, while the session ends
			suggest(time.Millisecond)
		}
		r.ended(StoreFailed)
		if kept := size(r.session.scribe.draft.unsaved); kept > maxUnsavedText+3900 {
			t.Errorf("kept %d bytes of text, want %d", kept, maxUnsavedText)
		}
	})
}

// A client is idle 90 s after it was last heard, whenever and however that was.
func TestIdle(t *testing.T) {
	for name, sign := range map[string]func(*rig){
		"keepalive": func(r *rig) { r.frame(true, "\x8a\x00") },
		"ping":      func(r *rig) { r.line.ping() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, "s1", nil)
				pass(usualIdle - 2*time.Second)
				sign(r)
				pass(usualIdle - time.Second)
				if r.session.stopping.Err() != nil {
					t.Error("ended 89 s after the last frame")
				}
				pass(2 * time.Second)
				if r.session.stopping.Err() == nil {
					t.Error("goes on 91 s after the last frame")
				}
				r.ended(ClientIdle)
			})
		})
	}
}
