package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/shared/usage"
)

var (
	used  = regexp.MustCompile(`^(\d+) s of speech this month$`)
	alone = regexp.MustCompile(`^a listen of its own(?: with (\S+))?$`)
	mood  = regexp.MustCompile(`^a recogniser that (answers|thinks|is gone)$`)
)

// given makes the world what a transcript wants it to be.
func (p *player) given(what string) {
	p.t.Helper()
	if m := used.FindStringSubmatch(what); m != nil {
		month := p.stack.Firestore.Collection("users").Doc(p.uid).Collection("usage").Doc("m" + usage.Month(time.Now()))
		if _, err := month.Set(p.t.Context(), map[string]any{"speech_ms": number(m[1]) * 1000}); err != nil {
			p.t.Fatal(err)
		}
	} else if m := alone.FindStringSubmatch(what); m != nil {
		p.own(strings.Fields(m[1])...)
	} else if m := mood.FindStringSubmatch(what); m != nil {
		p.moody.be(m[1])
	} else if what == "keys that can't be read" {
		p.stack.Users.Down.Store(true)
	} else if what == "SIGTERM" {
		for _, process := range p.listen.Processes() {
			if err := process.Terminate(); err != nil {
				p.t.Errorf("%s: %v", p.at, err)
			}
		}
	} else {
		p.t.Fatalf("%s: what is that?", p.at)
	}
}

// own has what follows be played with processes of listen, and a recogniser, that nobody else uses.
func (p *player) own(env ...string) {
	p.t.Helper()
	p.moody = &moody{changed: make(chan struct{}), mood: "answers"}
	server := httptest.NewServer(&deepgram.Handler{Engine: p.moody, Key: stack.RecognizerKey})
	p.listen = p.stack.Listen.With(append(env, "DEEPGRAM_URL=ws"+strings.TrimPrefix(server.URL, "http")+"/v1/listen")...)
	p.t.Cleanup(func() {
		p.moody.be("answers")
		if err := p.listen.Stop(); err != nil {
			p.t.Error(err)
		}
		server.Close()
	})
}

// moody is the exact recogniser, if it is in the mood.
type moody struct {
	deepgram.Exact

	mu      sync.Mutex
	mood    string
	changed chan struct{} // closed, and made anew, when it is another
}

var errGone = errors.New("the recogniser is gone")

func (m *moody) be(mood string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mood = mood
	close(m.changed)
	m.changed = make(chan struct{})
}

// answers waits until it does, or is gone.
func (m *moody) answers() error {
	for {
		m.mu.Lock()
		mood, changed := m.mood, m.changed
		m.mu.Unlock()
		switch mood {
		case "is gone":
			return errGone
		case "answers":
			return nil
		}
		<-changed
	}
}

func (m *moody) Open(ctx context.Context) (deepgram.Decoder, error) {
	if err := m.answers(); err != nil {
		return nil, err
	}
	decoder, err := m.Exact.Open(ctx)
	return thoughtful{decoder, m}, err
}

type thoughtful struct {
	deepgram.Decoder
	moody *moody
}

func (t thoughtful) Decode(pcm []int16) ([]deepgram.Hypothesis, error) {
	if err := t.moody.answers(); err != nil {
		return nil, err
	}
	return t.Decoder.Decode(pcm)
}

// unworded sounds like words, and holds none.
func unworded(d time.Duration) []int16 {
	each := testspeech.WordDuration + testspeech.Gap
	pcm := testspeech.Words(make([]uint32, d/each)...)
	for i := range pcm {
		pcm[i] = -pcm[i]
	}
	return pcm
}

// imagePart is how much of an image goes into one message, in bytes: what it is in base64 fits a frame.
const imagePart = 45_000

// picture sends an image in parts.
func (p *player) picture(c *connection, id string, size int) {
	p.t.Helper()
	total := (size + imagePart - 1) / imagePart
	for i := range total {
		c.message(map[string]any{
			"type": "image_chunk", "id": id, "index": i, "total": total,
			"data": bytes.Repeat([]byte{0xff}, min(imagePart, size-i*imagePart)),
		})
	}
}

// suggest sends segments that are too long to become one.
func (p *player) suggest(c *connection, count, size int) {
	p.t.Helper()
	var segments []map[string]any
	for i := range count {
		id := uuid.NewString()
		p.suggested = append(p.suggested, id)
		at := 0.001 * float64(i)
		segments = append(segments, map[string]any{"id": id, "text": strings.Repeat("z", size), "start": at, "end": at})
	}
	c.message(map[string]any{"type": "suggested_transcript", "segments": segments})
}

// rename has the server tell these segments again and again.
func (p *player) rename(c *connection, times int) {
	p.t.Helper()
	for i := range times {
		c.message(map[string]any{
			"type": "speaker_assigned", "speaker_id": 0, "person_id": fmt.Sprint("p", i), "segment_ids": p.suggested,
		})
	}
}

func (c *connection) message(m map[string]any) {
	c.t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		c.t.Fatal(err)
	}
	c.text(string(data))
}
