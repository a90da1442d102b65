package session

import (
	"slices"
	"time"

	"earshot.dev/shared/conversation"
)

// endingLimit is how long the end of a conversation waits for the words said before it: while another recogniser takes over, or the
// only one is given up, after deepgram.DefaultSilence, and asked anew.
const endingLimit = 15 * time.Second

// ending is a conversation's end that waits for words said before it. What is said from its boundary on belongs to the
// next conversation.
type ending struct {
	reason conversation.EndReason
	boundary
	asked  time.Time
	photos int                    // that are to be stored before, since the ending before this one
	next   conversation.EndReason // of the conversation behind it, if that ends by itself; empty: nobody has said
}

// maxEndings is how many conversations may be to end at once. A client that sends what it has kept may end several.
const maxEndings = 64

// maxPages is how many pages a conversation may have, more than a day of talk fills, until the next one begins: who reads a
// conversation reads all of it. Each may have 256 KB.
const maxPages = 64

// endByItself has the conversation end where nobody asks for it.
func (s *scribe) endByItself(now time.Time) {
	switch {
	case !now.Before(s.silentAt()):
		s.end(conversation.EndSilence, boundary{at: s.silentAt()})
	case s.draft.stored.Pages >= maxPages:
		s.end(conversation.EndFull, boundary{}) // all that comes now is behind it
	}
}

// boundary is a place in what was said: a time and, where it is one in the audio that was taken in, for each channel the
// offset in what was sent.
type boundary struct {
	at      time.Time
	through []time.Duration
}

// before reports whether the boundary comes before an utterance. Offsets say so better than the times of day made of them.
func (b boundary) before(u utterance) bool {
	if u.channel < len(b.through) && u.first != (span{}) {
		return (u.first.from+u.first.to)/2 >= b.through[u.channel]
	}
	return !u.start.Before(b.at)
}

// behind is how many of the endings an utterance is behind: it belongs to the conversation after the last of them. That one
// counts: behind an ending by silence, which is a time, there may be one that the client asked for before that time.
func (s *scribe) behind(u utterance) int {
	for i, e := range slices.Backward(s.endings) {
		if e.before(u) {
			return i + 1
		}
	}
	return 0
}

// place lays utterances into the conversation, or keeps them for one that follows.
func (s *scribe) place(us ...utterance) {
	belong := make([]utterance, 0, len(us))
	for _, u := range us {
		if s.behind(u) > 0 {
			s.held = append(s.held, u)
		} else {
			belong = append(belong, u)
		}
	}
	s.show(s.draft.add(belong...))
}

// end has the conversation end, or one that follows.
func (s *scribe) end(reason conversation.EndReason, b boundary) {
	if s.replaced {
		return // it is the newer session's
	}
	if len(s.endings) == maxEndings {
		s.ignore()
		s.cross(b)
		return
	}
	photos := len(s.photos)
	for _, e := range s.endings {
		photos -= e.photos
	}
	s.endings = append(s.endings, ending{reason: reason, boundary: b, asked: time.Now(), photos: photos})
}

// because keeps why a conversation will be over that ends by itself: the one behind all endings, which may be still to begin.
func (s *scribe) because(reason conversation.EndReason) {
	if n := len(s.endings); n > 0 {
		s.endings[n-1].next = reason
		return
	}
	s.draft.notes.because(reason)
}

// ended goes on behind the first of the endings.
func (s *scribe) ended() {
	first := s.endings[0]
	s.cross(first.boundary)
	clear(s.murmurs[:]) // they may be of what is over
	s.draft.notes.because(first.next)
	if s.endings = s.endings[1:]; len(s.endings) > 0 {
		s.endings[0].photos += first.photos // none, but of a silence that is to be looked at again
	}
	held := s.held
	s.held = nil
	s.place(held...)
}

// endNothing goes on behind the first of the endings, where there is no conversation to end. Why that would have been over is
// of no use to the next.
func (s *scribe) endNothing() {
	if s.draft.notes.fresh.reason != "" {
		s.draft.notes.fresh.reason = ""
		s.ignore()
	}
	s.ended()
}

func (s *scribe) cross(b boundary) {
	for i, through := range b.through {
		s.intakes[i].cross(through)
	}
}

// endable reports whether all words are known that were said before the first of the endings, or have been waited for.
func (s *scribe) endable(now time.Time) bool {
	if s.over || now.Sub(s.endings[0].asked) >= endingLimit {
		return true
	}
	for i, through := range s.endings[0].through {
		if !s.intakes[i].knows(through) {
			return false
		}
	}
	return true
}
