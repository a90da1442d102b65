package session

import (
	"context"
	"time"

	"earshot.dev/functions/listen/wire"
)

// murmur takes words of a channel that may still change: they are no silence, and a client that wants them is shown them, also
// before the conversation begins that they will belong to.
func (s *scribe) murmur(ctx context.Context, channel int, us []utterance) {
	s.murmurs[channel] = us
	for i, u := range us {
		isNew := u.end.After(s.murmured)
		if isNew {
			s.murmured = u.end
		}
		if !s.params.Interim || s.replaced { // then they are the newer session's
			continue
		}
		if isNew {
			signalShown(ctx, us[i:i+1], interimWords)
		}
		seg := u.segment(s.origin(u))
		s.tell(wire.Interim(seg.Text, seg.Start, seg.End, seg.Speaker))
	}
}

// origin is where the conversation begins that an utterance will belong to, were it final. One that isn't there yet begins
// with its first word, see attach: the first of those that are final, or else of those that may become so.
func (s *scribe) origin(u utterance) time.Time {
	place := s.behind(u)
	if place == 0 && s.draft.open() {
		began := s.draft.stored.StartedAt
		if s.draft.transcript.Len() == 0 {
			began = earlier(began, s.murmuredFrom(u, place)) // see reachBack
		}
		return began
	}
	waiting := s.held
	if place == 0 {
		waiting = s.draft.unsaved
	}
	if began, ok := s.firstOf(waiting, place); ok {
		return began
	}
	return s.murmuredFrom(u, place)
}

// murmuredFrom is when the first of the words was said that may still change and are for the same conversation as u.
func (s *scribe) murmuredFrom(u utterance, place int) time.Time {
	from := u.start
	for _, us := range s.murmurs {
		if at, ok := s.firstOf(us, place); ok {
			from = earlier(from, at)
		}
	}
	return from
}

// firstOf is when the first of some utterances was said that are behind so many endings.
func (s *scribe) firstOf(us []utterance, endings int) (first time.Time, ok bool) {
	for _, u := range us {
		if (!ok || u.start.Before(first)) && s.behind(u) == endings {
			first, ok = u.start, true
		}
	}
	return first, ok
}
