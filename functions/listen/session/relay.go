package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// maxRelayed is how much audio may wait for Pub/Sub to take it, and maxUnsafe how much numbered audio may wait until it is
// acknowledged, for each channel: a silence may last for a minute until it is, and the recogniser may be behind by 30 s.
// What is more isn't told.
const (
	maxRelayed = time.Minute
	maxUnsafe  = 2 * time.Minute
)

var errTooMuchAudio = fault.Newf(fault.Unavailable, "publish", "%v of audio already waits for it", maxRelayed)

// relay tells what the session hears (audio.appended), to whom wants it: all of it, silence too, channels mixed into one,
// in stretches and in order. Of numbered audio it tells what is acknowledged: the client sends the rest again, to
// another session, which tells it then; so that nothing is told twice. It keeps nothing for later.
type relay struct {
	params    Params
	publisher Publisher
	queue     chan stretch // in the order in which it is to be told
	told      chan struct{}
	failed    atomic.Bool // that was logged

	mu           sync.Mutex
	conversation string // the latest
	made         int    // stretches
	closed       bool
	mixed        mixer
	unsafe       []int16 // of numbered frames that are not acknowledged, of all channels
	frames       []unsafeFrame
	pause        *time.Timer // fires when none has come for as long as a stretch lasts
}

// unsafeFrame is a frame that has so many of the samples.
type unsafeFrame struct {
	sequence         uint32
	channel, samples int
}

// stretch is what is told at once.
type stretch struct {
	conversation string
	number       int
	pcm          []byte
	at           time.Time
}

// newRelay gives nil where nobody wants to hear; its methods then do nothing. It tells under ctx, until it is closed.
func newRelay(ctx context.Context, p Params, channels int, publisher Publisher) *relay {
	if p.Relay == 0 {
		return nil
	}
	r := &relay{
		params: p, publisher: publisher, mixed: mixer{ends: make([]int, channels)},
		queue: make(chan stretch, max(1, maxRelayed/p.Relay)), told: make(chan struct{}),
	}
	r.pause = time.AfterFunc(p.Relay, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.closed {
			r.rest(ctx)
		}
	})
	go func() {
		defer close(r.told)
		for s := range r.queue {
			r.publish(ctx, s)
		}
	}()
	return r
}

// into says to which conversation the session writes.
func (r *relay) into(cid string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conversation = cid
}

// hear takes in a frame's audio. The number is 0 where frames have none.
func (r *relay) hear(ctx context.Context, sequence uint32, channel int, samples []int16) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.params.Numbered {
		r.mix(ctx, channel, samples)
		return
	}
	if duration(int64(len(r.unsafe)+len(samples))) > maxUnsafe*time.Duration(len(r.mixed.ends)) {
		r.lost(ctx, len(samples), errUnsafe)
		return
	}
	r.unsafe = append(r.unsafe, samples...)
	r.frames = append(r.frames, unsafeFrame{sequence, channel, len(samples)})
}

var errUnsafe = fault.Newf(fault.Unavailable, "publish", "%v of each channel already wait until they are acknowledged", maxUnsafe)

// acknowledged says that the frames through a number won't come again.
func (r *relay) acknowledged(ctx context.Context, sequence uint32) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	from, n := 0, 0
	for n < len(r.frames) && r.frames[n].sequence <= sequence {
		f := r.frames[n]
		r.mix(ctx, f.channel, r.unsafe[from:from+f.samples])
		from += f.samples
		n++
	}
	r.unsafe = append(r.unsafe[:0], r.unsafe[from:]...)
	r.frames = append(r.frames[:0], r.frames[n:]...)
}

func (r *relay) mix(ctx context.Context, channel int, samples []int16) {
	r.pause.Reset(r.params.Relay)
	r.mixed.add(channel, samples)
	for {
		pcm := r.mixed.cut(r.samples())
		if pcm == nil {
			return
		}
		r.put(ctx, pcm)
	}
}

// samples is how many a stretch has.
func (r *relay) samples() int { return int(r.params.Relay * sampleRate / time.Second) }

// rest has what there is told, though it is no whole stretch.
func (r *relay) rest(ctx context.Context) {
	for len(r.mixed.samples) > 0 {
		r.put(ctx, r.mixed.take(r.samples()))
	}
}

func (r *relay) put(ctx context.Context, pcm []byte) {
	r.made++
	select {
	case r.queue <- stretch{r.conversation, r.made, pcm, time.Now()}:
	default:
		r.lost(ctx, len(pcm)/2, errTooMuchAudio)
	}
}

func (r *relay) publish(ctx context.Context, s stretch) {
	e, err := event.OfAudio(r.params.ID, r.params.Device, s.number, event.Audio{
		UID: r.params.UID, ConversationID: s.conversation, SampleRate: sampleRate, PCM: s.pcm,
	}, s.at)
	if err == nil {
		err = r.publisher.Publish(ctx, e)
	}
	if err != nil {
		r.lost(ctx, len(s.pcm)/2, err)
	}
}

// lost counts samples that are not told; the first time is logged.
func (r *relay) lost(ctx context.Context, samples int, err error) {
	audioUntold.Add(ctx, duration(int64(samples)).Seconds())
	if r.failed.CompareAndSwap(false, true) {
		logging.Error(ctx, "audio_not_told", err)
	}
}

// close tells the rest and returns when nothing is being told any more. Nothing is heard after it.
func (r *relay) close(ctx context.Context) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.pause.Stop()
	r.rest(ctx)
	r.closed = true
	close(r.queue)
	r.mu.Unlock()
	<-r.told
}
