package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

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

// maxWatched is how many of them are watched at a time: each that is takes a stream of the connection to the store, which all
// sessions share, and has its words kept.
const maxWatched = 4

// maxRead is of how many conversations words are being read: they may be many.
const maxRead = 2

var errTooManyFollowed = fault.Newf(fault.Overloaded, "follow conversation", "%d already wait to be finished", maxFollowed)

// followers tell the client what becomes of its conversations, each of one.
type followers struct {
	sync.WaitGroup // of all of them

	waiting, reading, watching *semaphore.Weighted
	failed                     atomic.Bool // there were too many, and that was logged
}

func newFollowers() *followers {
	return &followers{
		waiting: semaphore.NewWeighted(maxFollowed), reading: semaphore.NewWeighted(maxRead), watching: semaphore.NewWeighted(maxWatched),
	}
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
	if !s.following.watching.TryAcquire(1) {
		segments = nil // they may be many, and are read again
		if err := s.following.watching.Acquire(ctx, 1); err != nil {
			return err
		}
	}
	defer s.following.watching.Release(1)
	if c, err = s.store.Finished(ctx, s.params.UID, c.ID); err != nil || c.Status != conversation.Completed {
		return err
	}
	if segments == nil {
		if segments, err = s.segments(ctx, c.ID); err != nil {
			return err
		}
	}
	s.tell(wire.MemoryCreated(c.Wire(segments)))
	return nil
}

func (s *Session) segments(ctx context.Context, cid string) ([]transcript.Segment, error) {
	if err := s.following.reading.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.following.reading.Release(1)
	return s.store.Segments(ctx, s.params.UID, cid)
}
