package session

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"

	"earshot.dev/shared/measure"
)

var meter = measure.Meter("functions/listen/session")

// What is measured of sessions: see the list in infra/README.md.
var (
	sessionsOpen = measure.UpDown(meter, "earshot.session.open", "{session}", "Sessions that are open")
	sessionsLost = measure.Counter(meter, "earshot.session.refused", "{session}", "Sessions for which there was no room")
	sessionsDone = measure.Counter(meter, "earshot.session.ended", "{session}", "Sessions that ended")
	sessionsTook = measure.Histogram(meter, "earshot.session.duration", "s", "How long sessions lasted",
		1, 10, 60, 300, 900, 1800, 3600)

	framesIn     = measure.Counter(meter, "earshot.frame.received", "{frame}", "Frames of audio that clients sent")
	bytesIn      = measure.Counter(meter, "earshot.frame.bytes", "By", "Bytes of all that clients sent")
	framesGone   = measure.Counter(meter, "earshot.frame.missing", "{frame}", "Numbered frames that never came")
	dropped      = measure.Counter(meter, "earshot.drop", "{frame}", "Frames that were dropped")
	wordsMade    = measure.Counter(meter, "earshot.word.final", "{word}", "Words that became final")
	appendsLost  = measure.Counter(meter, "earshot.append.lost", "{flush}", "Stored words that realtime_transcript could not be told")
	audioUntold  = measure.Sum(meter, "earshot.relay.lost", "s", "Audio that audio_bytes could not be told")
	audioToWord  = measure.Histogram(meter, "earshot.lag.audio_to_word", "s", "From when words were said to when they were told", lags...)
	wordToStored = measure.Histogram(meter, "earshot.lag.word_to_durable", "s", "From when words became final to when they were stored", lags...)
)

// lags are bounds of buckets, in seconds.
var lags = []float64{0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60}

// The two kinds of words that are told.
var (
	interimWords = measure.By("kind", "interim")
	finalWords   = measure.By("kind", "final")
)

// why tells apart what is dropped.
var why = struct{ undecodable, malformed, repeated, late, channel, ignored, slow metric.MeasurementOption }{
	undecodable: measure.By("reason", "undecodable"),
	malformed:   measure.By("reason", "malformed"),
	repeated:    measure.By("reason", "repeated"),
	late:        measure.By("reason", "late"),
	channel:     measure.By("reason", "unknown_channel"),
	ignored:     measure.By("reason", "ignored"),
	slow:        measure.By("reason", "slow_client"),
}

// tally is what a session has counted.
type tally struct {
	frames, bytes, missing                                             int64
	undecodable, malformed, repeated, late, channel, ignored, unspoken int64 // dropped
}

func (s *Session) tally() tally {
	t := tally{
		frames: s.frames.Load(), bytes: s.bytes.Load(), malformed: s.malformed.Load(), channel: s.astray.Load(),
		ignored: s.ignored.Load(), unspoken: s.untold.Load(),
	}
	t.missing, t.repeated = s.ledger.counts()
	for _, in := range s.intakes {
		in.mu.Lock()
		t.undecodable += in.spoiled
		t.late += in.late
		in.mu.Unlock()
	}
	return t
}

// packets says in the log what was wrong with the audio.
func (t tally) packets() slog.Attr {
	return slog.Group("packets", slog.Int64("spoiled", t.undecodable), slog.Int64("malformed", t.malformed),
		slog.Int64("of_no_channel", t.channel), slog.Int64("missing", t.missing), slog.Int64("repeated", t.repeated))
}

// signalEvery is how often a session tells what it has counted, so that frames cost no more than counting.
const signalEvery = 10 * time.Second

// signal tells what was counted since the last time. It is called by one goroutine at a time.
func (s *Session) signal(ctx context.Context) {
	before, now := s.signalled, s.tally()
	s.signalled = now
	add := func(c metric.Int64Counter, n int64, by ...metric.AddOption) {
		if n > 0 {
			c.Add(ctx, n, by...)
		}
	}
	add(framesIn, now.frames-before.frames)
	add(bytesIn, now.bytes-before.bytes)
	add(framesGone, now.missing-before.missing)
	add(dropped, now.undecodable-before.undecodable, why.undecodable)
	add(dropped, now.malformed-before.malformed, why.malformed)
	add(dropped, now.repeated-before.repeated, why.repeated)
	add(dropped, now.late-before.late, why.late)
	add(dropped, now.channel-before.channel, why.channel)
	add(dropped, now.ignored-before.ignored, why.ignored)
	add(dropped, now.unspoken-before.unspoken, why.slow)
}

// signalShown tells how long the words of utterances took to be told. Those that the client has recognised are its own matter.
func signalShown(ctx context.Context, us []utterance, by metric.MeasurementOption) {
	now := time.Now()
	for _, u := range us {
		audioToWord.Record(ctx, now.Sub(u.end).Seconds(), by)
	}
}

// signalStored tells how long the words of a commit that took effect took to be stored.
func (s *scribe) signalStored(ctx context.Context, at time.Time) {
	for _, u := range s.draft.unsaved[:s.draft.sending] {
		wordToStored.Record(ctx, at.Sub(u.known).Seconds())
	}
}

// signalEnd tells of the session's end.
func (s *Session) signalEnd(ctx context.Context, reason *Reason) {
	s.signal(ctx)
	by := measure.By("reason", reason.Name)
	sessionsOpen.Add(ctx, -1)
	sessionsDone.Add(ctx, 1, by)
	sessionsTook.Record(ctx, time.Since(s.began).Seconds(), by)
}
