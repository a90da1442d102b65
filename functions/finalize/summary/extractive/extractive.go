// Package extractive summarizes a conversation out of its own words, without a network: the sentences that stand for
// the most of the others, by LexRank, the phrases that come back, and what somebody undertook to do, by the way it is
// said. It is what is left when no model can be asked, so it works on any language and on speech without punctuation
// or capitals, though titles and action items are better in English.
//
// It takes time in proportion to the length of the conversation, and gives the same for the same.
package extractive

import (
	"context"
	"time"

	"github.com/neurosnap/sentences"
	"github.com/neurosnap/sentences/english"

	"earshot.dev/functions/finalize/summary"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/transcript"
)

// Name is what summaries say of who made them.
const Name = "extractive"

// Summarizer summarizes by extraction. It is safe for concurrent use.
type Summarizer struct {
	splitter *sentences.DefaultSentenceTokenizer
}

// New loads what is known of English abbreviations, by which sentences are told apart; it takes some 20 ms.
func New() (*Summarizer, error) {
	splitter, err := english.NewSentenceTokenizer(nil)
	if err != nil {
		return nil, fault.New(fault.Internal, "load sentence model", err)
	}
	return &Summarizer{splitter}, nil
}

// Summarize summarizes the segments. Words like "tomorrow" refer to when they were said, counted from began; days are
// those of its time zone. It never says that a conversation should be discarded, which it can't judge, and fails only
// if ctx ends.
func (s *Summarizer) Summarize(ctx context.Context, segments []transcript.Segment, language string, began time.Time) (
	conversation.Structured, bool, error,
) {
	t := newText(s.split(segments), language)
	scores, err := t.rank(ctx)
	if err != nil {
		return conversation.Structured{}, false, fault.New(fault.Unavailable, Name, err)
	}
	category := t.category()
	return conversation.Structured{
		Title:       t.title(scores),
		Overview:    t.overview(scores),
		Emoji:       summary.Emoji(category),
		Category:    category,
		ActionItems: t.actionItems(began),
		Summarizer:  Name,
	}, false, nil
}
