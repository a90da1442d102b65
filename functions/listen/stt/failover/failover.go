// Package failover makes one recogniser of several: where one fails the next goes on, and whoever listens sees one
// stream.
//
// # Guarantees
//
// Offsets count on over any number of failures. A word that was final is not said again, and audio that was not final
// is heard by the next recogniser from its beginning, so no word is lost, unless one has been silent for so long that
// its audio isn't kept any more (Options.Keep), which is logged with how much it is. Recv fails when no recogniser is
// left: each has failed since words last became final, or it refuses our key.
//
// A recogniser that says nothing for Options.Patience while there is audio isn't given up. The next one is opened
// beside it and hears the same; the first of the two to come up with words goes on, the other is closed. If that one fails
// it is tried once more.
//
// Each recogniser has a circuit breaker, shared by all streams. That a stream breaks off which was good until then, as all
// do when a server restarts, doesn't count for it: opening another tells. Where nothing but breakers is in the way, a
// stream tries the recognisers all the same, each once, in turns with the other streams (see turn.go).
//
// Speakers are numbered by each recogniser anew.
package failover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/metric"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/measure"
)

// Name is the name of the recogniser that is made of several.
const Name = "failover"

// The events that are logged.
const (
	eventFailed  = "recognizer_failed_over" // a recogniser failed, and another goes on
	eventLost    = "recognizer_audio_lost"  // audio wasn't final, and isn't kept any more for the next one
	eventBreaker = "recognizer_breaker"     // a breaker has changed its state
)

// Options are how much patience there is. A zero means the default.
type Options struct {
	// Patience is how long a recogniser may take to open, and how long audio may go unanswered, before the next one is
	// opened beside it: 1.2 s.
	Patience time.Duration
	// OpenLimit is how long a recogniser may take to open before it has failed: 5 s.
	OpenLimit time.Duration
	// Keep is how much audio that isn't final is kept for the next recogniser: 45 s, as a session lets 30 s wait and the packet
	// after them. At 16 kHz a second is 32 kB.
	Keep time.Duration
	// Pause is how long a breaker stays open: 15 s.
	Pause time.Duration
}

func (o Options) withDefaults() Options {
	fill := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	fill(&o.Patience, 1200*time.Millisecond)
	fill(&o.OpenLimit, 5*time.Second)
	fill(&o.Keep, 45*time.Second)
	fill(&o.Pause, 15*time.Second)
	return o
}

// Recognizer is several recognisers in an order. It can be used by many goroutines at once.
type Recognizer struct {
	providers []*provider
	order     Order
	options   Options
}

var _ stt.Recognizer = (*Recognizer)(nil)

// New makes one recogniser of several, all of which the order has to name. Where several have the same name, as
// servers of the same protocol do, they are tried as they come. It fails if the order names one that isn't there, or
// leaves one out.
func New(order Order, options Options, recognizers ...stt.Recognizer) (*Recognizer, error) {
	r := &Recognizer{order: order, options: options.withDefaults()}
	count := make(map[string]int)
	for _, each := range recognizers {
		name := each.Name()
		if !order.Mentions(name) {
			return nil, fmt.Errorf("failover: the order leaves out %q", name)
		}
		label := name
		if count[name]++; count[name] > 1 {
			label = fmt.Sprintf("%s-%d", name, count[name])
		}
		r.providers = append(r.providers, newProvider(label, each, r.options.Pause))
	}
	for _, name := range order.all() {
		if count[name] == 0 {
			return nil, fmt.Errorf("failover: there is no recogniser %q", name)
		}
	}
	return r, nil
}

// Name is "failover": which recogniser a word is from isn't told.
func (r *Recognizer) Name() string { return Name }

// Supports reports whether one of the recognisers in the order for the language understands it.
func (r *Recognizer) Supports(language string) bool { return len(r.candidates(language)) > 0 }

// Open opens a stream at the first recogniser that can be had. Its error is the last one's failure and tells all.
func (r *Recognizer) Open(ctx context.Context, o stt.Options) (stt.Stream, error) {
	candidates := r.candidates(o.Language)
	if len(candidates) == 0 {
		return nil, stt.Fail(Name, stt.UnsupportedLanguage, fmt.Errorf("language %q", o.Language))
	}
	if o.SampleRate <= 0 {
		return nil, stt.Fail(Name, stt.Rejected, fmt.Errorf("sample rate %d", o.SampleRate))
	}
	s := newStream(ctx, candidates, o, r.options)
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// candidates are the recognisers for a language, the most wanted first.
func (r *Recognizer) candidates(language string) []*provider {
	var found []*provider
	for _, name := range r.order.Names(language) {
		for _, p := range r.providers {
			if p.Name() == name && p.Supports(language) && !slices.Contains(found, p) {
				found = append(found, p)
			}
		}
	}
	return found
}

// provider is one of the recognisers, with what all streams know of its health.
type provider struct {
	stt.Recognizer
	label   string
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	refused atomic.Bool // it won't have us
	turns   chan turn   // has one element, but while a stream has its turn
	itself  metric.MeasurementOption
}

// failuresToOpen is how many streams in a row have to fail for a breaker to open. Wrong credentials open it at once.
const failuresToOpen = 5

// errUnproven is the verdict on a stream that was closed before it could show anything.
var errUnproven = errors.New("not known")

func newProvider(label string, r stt.Recognizer, pause time.Duration) *provider {
	p := &provider{Recognizer: r, label: label, itself: measure.By("recognizer", label), turns: make(chan turn, 1)}
	p.turns <- turn{}
	p.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:    label,
		Timeout: pause,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return p.refused.Load() || counts.ConsecutiveFailures >= failuresToOpen
		},
		IsExcluded: func(err error) bool {
			// What we asked for wrongly says nothing of the next request.
			failure := stt.FailureOf(err)
			return errors.Is(err, errUnproven) || err != nil && (failure == stt.Rejected || failure == stt.UnsupportedLanguage)
		},
		OnStateChange: func(name string, from, to gobreaker.State) {
			ctx := context.Background() // it is nobody's session
			logging.From(ctx).WarnContext(ctx, eventBreaker, slog.String("recognizer", name),
				slog.String("from", from.String()), slog.String("to", to.String()))
		},
	})
	return p
}

// allow asks the breaker for a stream. The verdict on the stream goes to the function that it gives: the first counts.
func (p *provider) allow() (verdict func(error), err error) {
	done, err := p.breaker.Allow()
	if err != nil {
		return nil, stt.Fail(p.label, stt.Unavailable, err)
	}
	var once sync.Once
	return func(err error) {
		once.Do(func() {
			switch {
			case err == nil:
				p.refused.Store(false)
			case stt.FailureOf(err) == stt.Credentials:
				p.refused.Store(true)
			}
			done(err)
		})
	}, nil
}

// count has the breaker know of a stream that it wasn't asked for, or on which its verdict was good before. One that is
// open takes in nothing.
func (p *provider) count(outcome error) {
	if verdict, err := p.allow(); err == nil {
		verdict(outcome)
	}
}
