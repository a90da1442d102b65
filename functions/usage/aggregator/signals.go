package aggregator

import (
	"context"

	"earshot.dev/shared/measure"
	"earshot.dev/shared/usage"
)

var meter = measure.Meter("functions/usage/aggregator")

// What is measured of usage: see the list in infra/README.md.
var (
	audio  = measure.Sum(meter, "earshot.usage.audio", "s", "Audio that was counted for users")
	speech = measure.Sum(meter, "earshot.usage.speech", "s", "Speech in it")
	words  = measure.Counter(meter, "earshot.usage.words", "{word}", "Words that were counted for users")
)

// signal adds what a report brought that was not known.
func signal(ctx context.Context, more usage.Totals) {
	audio.Add(ctx, float64(more.AudioMS)/1000)
	speech.Add(ctx, float64(more.SpeechMS)/1000)
	words.Add(ctx, more.Words)
}
