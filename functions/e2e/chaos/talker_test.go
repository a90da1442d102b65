package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
)

// frame is the length of a packet. Words begin and end with one.
const frame = 20 * time.Millisecond

// silenceTimeout of the conversations, in seconds.
const silenceTimeout = "4"

// talker is a person who speaks numbered words, ends conversations and falls silent, through a line of their own.
type talker struct {
	uid     string
	line    *line
	session *client.Session
	random  *rand.Rand
	stop    context.CancelFunc
	running sync.WaitGroup
	err     error // of the session; to be read after running

	deletes bool // some of it

	words  uint32   // said so far
	bursts int      // of words
	ends   []uint32 // the last word before each end
	audio  time.Duration
	images int // sent

	mu   sync.Mutex
	told []string // the images that the server says are stored
}

func newTalker(t *testing.T, s *stack.Stack, uid string, random *rand.Rand) *talker {
	t.Helper()
	if err := s.AddUser(t.Context(), uid); err != nil {
		t.Fatal(err)
	}
	token, err := s.UserToken(uid, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p := &talker{uid: uid, random: random}
	p.line = newLine(t, func() (string, error) { return host(s.Listen.URL()) })
	p.session = client.NewSession(client.Config{
		URL: "ws://" + p.line.addr() + "/v4/listen", Token: client.FixedToken(token), Device: "phone", Codec: source.PCM16,
		SampleRate: testspeech.Rate, Language: "en", Query: url.Values{"conversation_timeout": {silenceTimeout}},
	}, p.hear)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p.stop = cancel
	p.running.Go(func() { p.err = p.session.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		p.running.Wait()
	})
	return p
}

func (p *talker) hear(m client.Message) {
	if m.Type == client.PhotoProcessing {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = append(p.told, m.PhotoID)
	}
}

// host takes the host and port out of an address.
func host(address string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	return u.Host, nil
}

// The longest silence after a word, and the longest that may follow.
const (
	breath = 60 * frame
	pause  = 300 * frame
)

// talk speaks until ctx ends.
func (p *talker) talk(ctx context.Context) {
	for ctx.Err() == nil {
		n := 1 + p.random.Uint32N(8)
		numbers := make([]uint32, n)
		for i := range numbers {
			p.words++
			numbers[i] = p.words
		}
		if p.bursts++; p.bursts%3 == 1 {
			p.images++
			p.session.Say(fmt.Sprintf(`{"type":"image_chunk","id":"image%d","index":0,"total":1,"data":"Ynll"}`, p.images))
		}
		p.play(ctx, testspeech.Words(numbers...))
		p.play(ctx, testspeech.Silence(frame*time.Duration(1+p.random.IntN(int(breath/frame)))))
		switch p.random.IntN(6) {
		case 0:
			p.session.End()
			p.ends = append(p.ends, p.words)
		case 1:
			wait(ctx, time.Duration(p.random.IntN(7000))*time.Millisecond) // no audio at all
		case 2:
			p.play(ctx, testspeech.Silence(frame*time.Duration(p.random.IntN(int(pause/frame)))))
		default: // on
		}
	}
}

// play sends samples in real time, all of them, and faster once ctx has ended.
func (p *talker) play(ctx context.Context, pcm []int16) {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for packet := range slices.Chunk(testspeech.Bytes(pcm), 2*testspeech.FrameSamples) {
		p.session.Send(packet)
		p.audio += frame
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// silent is how many packets of silence may stay unacknowledged for a while: they are kept for the beginning of a word
// that may come, and belong to no conversation.
const silent = int(time.Second / frame)

// finish ends the last conversation, and waits until all is safe.
func (p *talker) finish(ctx context.Context) error {
	p.play(ctx, testspeech.Silence(time.Second+frame))
	p.session.End()
	var err error
	for err == nil && p.session.Unacknowledged() > silent {
		if wait(ctx, frame); ctx.Err() != nil {
			err = fmt.Errorf("%d packets are not acknowledged", p.session.Unacknowledged())
		}
	}
	p.stop()
	p.running.Wait()
	if !errors.Is(p.err, context.Canceled) {
		err = errors.Join(err, fmt.Errorf("the session ended by itself: %w", p.err))
	}
	if n := p.session.Dropped(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d packets were given up by the client", n))
	}
	return err
}

// wait waits, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
