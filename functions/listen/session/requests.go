package session

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

// photo is an image of the client's, under the id that it has there.
type photo struct {
	conversation.Photo
	temp string
}

// obey does what the client asks for.
func (s *scribe) obey(ctx context.Context, r request) {
	switch r.Type {
	case wire.TypeEnd, wire.TypeFinalizationReason:
		if r.Ends() {
			s.end(r.Reason, r.boundary)
		} else {
			s.because(r.Reason)
		}
	case wire.TypeSuggestedTranscript:
		if s.params.CustomSTT {
			s.suggested(ctx, r.Segments, r.Provider)
		}
	case wire.TypeSpeakerAssigned:
		s.show(s.draft.name(r.SpeakerID, conversation.Person{ID: r.PersonID, Name: r.PersonName}, r.SegmentIDs))
	case wire.TypeImageChunk:
		s.image(r.ImageChunk)
	}
}

// suggested takes in what the client recognised. Its times count from the session's start, and can't be ahead of now.
func (s *scribe) suggested(ctx context.Context, segments []transcript.Segment, provider string) {
	now := time.Now()
	us := make([]utterance, 0, len(segments))
	for _, seg := range segments {
		u := utterance{
			id: s.idOf(seg), text: seg.Text, speaker: seg.Speaker, isUser: seg.IsUser, person: seg.PersonID,
			provider: provider, start: earlier(s.began.Add(seg.Start), now), end: earlier(s.began.Add(seg.End), now),
		}
		if slices.Contains(s.suggestions, u.id) || s.draft.has(u.id) {
			continue // a repeat
		}
		s.suggestions = append(s.suggestions, u.id)
		if len(s.suggestions) > maxSuggestions {
			s.suggestions = slices.Delete(s.suggestions, 0, 1)
		}
		us = append(us, u)
	}
	s.take(ctx, us)
}

// idOf is the id of a suggested segment: the client's own where that is a UUID, else one that is made of it, so that a
// repeat shows. What has none is never a repeat.
func (s *scribe) idOf(seg transcript.Segment) string {
	switch {
	case seg.ID == "":
		return uuid.NewString()
	case uuid.Validate(seg.ID) != nil:
		return uuid.NewSHA1(uuid.Nil, []byte(s.params.ID+"/"+seg.ID)).String()
	default:
		return seg.ID
	}
}

// maxSuggestions is how many ids of suggested segments are known for the next one not to be taken twice.
const maxSuggestions = 256

// image takes in a part of an image, and keeps the image that it completes until it is stored.
func (s *scribe) image(c wire.ImageChunk) {
	data, ok := s.images.Add(c, time.Now())
	waiting := len(data)
	for _, p := range s.photos {
		waiting += len(p.Data)
	}
	if !ok || s.replaced || data != nil && (s.seen >= s.params.MaxImages || waiting > maxPhotos) {
		s.ignore()
		return
	}
	if data == nil {
		return
	}
	s.seen++
	// The same image gets the same id, so that sending it again stores it once.
	id := uuid.NewSHA1(uuid.Nil, slices.Concat([]byte(s.params.UID+"/"+s.device+"/"+c.ID+"/"), data)).String()
	s.photos = append(s.photos, photo{conversation.Photo{ID: id, Data: data, CreatedAt: time.Now()}, c.ID})
}

// maxPhotos is how much is kept, in bytes, of images that are complete and not stored: four of the largest.
const maxPhotos = 4 * wire.MaxImage

// photo is the image that goes with the next commit: the first, unless the end of the conversation came before it.
func (s *scribe) photo() *photo {
	if len(s.photos) == 0 || len(s.endings) > 0 && s.endings[0].photos == 0 {
		return nil
	}
	return &s.photos[0]
}

// loseImages lets go of all images that are not stored.
func (s *scribe) loseImages(ctx context.Context) {
	if lost := len(s.photos); lost > 0 {
		logging.Error(ctx, "images_not_stored", errAbandoned, slog.Int("images", lost))
	}
	s.photos = nil
}

// shed lets go of the first of the images, which is stored or can't be, and may have been the last that an ending waited for.
func (s *scribe) shed() {
	s.photos = s.photos[1:]
	if len(s.endings) > 0 && s.endings[0].photos > 0 {
		s.endings[0].photos--
	}
}

// warnAt is how little must be left of what the plan allows for the client to be told.
const warnAt = 180 * time.Second

// spend notes speech that counts against what the plan allows.
func (s *scribe) spend(t usage.Totals) {
	if s.params.Allowance == nil || s.warned {
		return
	}
	s.spent += time.Duration(t.SpeechMS) * time.Millisecond
	if left := *s.params.Allowance - s.spent; left <= warnAt {
		s.warned = true
		s.tell(wire.FreemiumThreshold(max(left, 0)))
	}
}
