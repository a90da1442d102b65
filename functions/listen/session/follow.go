package session

import (
	"context"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// maxFollowed is how many conversations are followed at once. Who ends them faster than they are finished is not
// told of all.
const maxFollowed = 4

// follow tells the client that a conversation is being finished, and then that it is, if the session still lives.
func (s *Session) follow(ctx context.Context, c conversation.Conversation) {
	s.following.TryGo(func() error {
		ctx, cancel := s.within(ctx, 0)
		defer cancel()
		err := s.watch(ctx, c)
		if ctx.Err() == nil && !fault.Is(err, fault.NotFound) { // one without words and images is deleted
			logging.Error(ctx, "conversation_not_followed", err)
		}
		return nil
	})
}

func (s *Session) watch(ctx context.Context, c conversation.Conversation) error {
	segments, err := s.store.Segments(ctx, s.params.UID, c.ID)
	if err != nil {
		return err
	}
	s.tell(wire.MemoryProcessing(c.Wire(segments)))
	if c, err = s.store.Finished(ctx, s.params.UID, c.ID); err != nil {
		return err
	}
	if c.Status == conversation.Completed {
		s.tell(wire.MemoryCreated(c.Wire(segments)))
	}
	return nil
}
