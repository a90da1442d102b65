package session

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
)

// maxTelling is how many flushes may wait for Pub/Sub to take them. What is too much for it isn't told.
const maxTelling = 8

var errTooMuchToTell = fault.Newf(fault.Unavailable, "publish", "%d flushes already wait for it", maxTelling)

// appended tells what words were stored (transcript.appended), to whom wants them while they are said. It keeps nothing
// for later: words that can't be told now are in the conversation, which is told when it is finished.
type appended struct {
	uid, session string
	publisher    Publisher
	shown        map[string]bool // owned by the transcribe loop: segments that the client was shown since the last flush

	telling errgroup.Group
	failed  atomic.Bool // that was logged
}

// newAppended gives nil where nobody wants to be told; its methods then do nothing.
func newAppended(p Params, publisher Publisher) *appended {
	if !p.Append {
		return nil
	}
	a := &appended{uid: p.UID, session: p.ID, publisher: publisher, shown: map[string]bool{}}
	a.telling.SetLimit(maxTelling)
	return a
}

// note takes in what the client is shown.
func (a *appended) note(change transcript.Change) {
	if a == nil {
		return
	}
	for _, s := range change.Changed {
		a.shown[s.ID] = true
	}
	for _, id := range change.Deleted {
		delete(a.shown, id)
	}
}

// take gives the segments, among those that are being stored, that are to be told once they are. If they are not, they
// are laid on top of what is stored, and shown, again.
func (a *appended) take(pages []transcript.Page) []transcript.Segment {
	if a == nil {
		return nil
	}
	var segments []transcript.Segment
	for _, p := range pages {
		for _, s := range p.Segments {
			if a.shown[s.ID] {
				segments = append(segments, s)
				delete(a.shown, s.ID)
			}
		}
	}
	return segments
}

// tell publishes what was stored with a version of the conversation, and doesn't wait for it.
func (a *appended) tell(ctx context.Context, c *conversation.Conversation, segments []transcript.Segment) {
	if len(segments) == 0 {
		return
	}
	e, err := event.OfAppended(a.uid, a.session, c, segments, time.Now())
	if err != nil {
		a.lost(ctx, err)
		return
	}
	if !a.telling.TryGo(func() error {
		if err := a.publisher.Publish(ctx, e); err != nil {
			a.lost(ctx, err)
		}
		return nil
	}) {
		a.lost(ctx, errTooMuchToTell)
	}
}

// lost counts a flush that wasn't told; the first is logged.
func (a *appended) lost(ctx context.Context, err error) {
	appendsLost.Add(ctx, 1)
	if a.failed.CompareAndSwap(false, true) {
		logging.Error(ctx, "words_not_told", err)
	}
}

// wait returns when nothing is being told any more.
func (a *appended) wait() {
	if a != nil {
		_ = a.telling.Wait() // what failed was logged
	}
}
