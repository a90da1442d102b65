package failover

import (
	"context"
	"time"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/shared/measure"
)

var meter = measure.Meter("functions/listen/stt/failover")

// What is measured of recognisers: see the list in infra/README.md.
var (
	failures  = measure.Counter(meter, "earshot.recognizer.failures", "{failure}", "Failures of recognisers")
	failovers = measure.Counter(meter, "earshot.recognizer.failovers", "{failover}", "Times that another recogniser went on")
	audioLost = measure.Sum(meter, "earshot.recognizer.audio_lost", "s", "Audio that no recogniser has heard")
)

// signalFailure counts a failure, by whose it is and what went wrong.
func (p *provider) signalFailure(err error) {
	by := measure.By("recognizer", p.label, "failure", stt.FailureOf(err).String())
	failures.Add(context.Background(), 1, by)
}

// signalFailover counts that another goes on in a recogniser's place.
func (p *provider) signalFailover() {
	failovers.Add(context.Background(), 1, p.itself)
}

// signalLoss adds up audio that a recogniser won't hear.
func (p *provider) signalLoss(lost time.Duration) {
	audioLost.Add(context.Background(), lost.Seconds(), p.itself)
}
