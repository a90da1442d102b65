package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
)

// maxFollowed is how many conversations of a session may wait until they are finished: as many as it may have to end. Of one
// more the client is told that it is being finished, and no more.
const maxFollowed = maxEndings

// maxWatched is how many of them are watched at a time, in turns, as long as others wait: each that is takes a stream of the
// connection to the store, which all sessions share, and has its words kept.
const (
	maxWatched = 4
	watchTurn  = time.Minute
)

// readWithin is how long it may take to read the words of a conversation.
const readWithin = 10 * time.Second

var errTooManyFollowed = fault.Newf(fault.Overloaded, "follow conversation", "%d already wait to be finished", maxFollowed)

// followers tell the client what becomes of its conversations, each of one.
type followers struct {
	sync.WaitGroup // of as many as wait, and of those for whose conversations words are being read

	waiting, watching *semaphore.Weighted
	failed            atomic.Bool // there were too many, and that was logged
}

func newFollowers() *followers {
	return &followers{waiting: semaphore.NewWeighted(maxFollowed), watching: semaphore.NewWeighted(maxWatched)}
}

// follow tells the client that a conversation is being finished, and then that it is, if the session still lives.
func (s *Session) follow(ctx context.Context, c conversation.Conversation) {
	s.following.Go(func() {
		ctx, cancel := s.within(ctx, 0)
		defer cancel()
		err := s.watch(ctx, c)
		if ctx.Err() != nil || fault.Is(err, fault.NotFound) { // one without words and images is deleted
			return
		}
		if errors.Is(err, errTooManyFollowed) && !s.following.failed.CompareAndSwap(false, true) {
			return
		}
		logging.Error(ctx, "conversation_not_followed", err)
	})
}

func (s *Session) watch(ctx context.Context, c conversation.Conversation) error {
	segments, err := s.segments(ctx, c.ID)
	if err != nil {
		return err
	}
	s.tell(wire.MemoryProcessing(c.Wire(segments)))
	if !s.following.waiting.TryAcquire(1) {
		return errTooManyFollowed
	}
	defer s.following.waiting.Release(1)
	for done := false; !done; {
		if !s.following.watching.TryAcquire(1) {
			segments = nil // they may be many, and are read again
			if err := s.following.watching.Acquire(ctx, 1); err != nil {
				return err
			}
		}
		if done, err = s.watchOnce(ctx, c.ID, segments); err != nil {
			return err
		}
	}
	return nil
}

// watchOnce waits for a turn until a conversation is finished, and tells the client. It reports whether that has become of it.
func (s *Session) watchOnce(ctx context.Context, cid string, segments []transcript.Segment) (done bool, err error) {
	defer s.following.watching.Release(1)
	turn, cancel := context.WithTimeout(ctx, watchTurn)
	defer cancel()
	c, err := s.store.Finished(turn, s.params.UID, cid)
	if turn.Err() != nil && ctx.Err() == nil {
		return false, nil
	}
	if err == nil && c.Status == conversation.Completed && segments == nil {
		segments, err = s.segments(ctx, cid)
	}
	if err == nil && c.Status == conversation.Completed {
		s.tell(wire.MemoryCreated(c.Wire(segments)))
	}
	return true, err
}

func (s *Session) segments(ctx context.Context, cid string) ([]transcript.Segment, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	return s.store.Segments(ctx, s.params.UID, cid)
}
