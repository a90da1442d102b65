package failover

import (
	"context"
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"earshot.dev/functions/listen/stt"
)

// turn is what the last stream that tried a recogniser, although its breaker is open, found out. Such streams have
// nobody else. One tries at a time, and after one that failed the next one waits, so a recogniser that is down isn't
// dialled by all of them at once; while it is known that it is back, none waits for another.
type turn struct {
	over time.Time // when it had an answer; zero: nobody has tried
	good bool      // the recogniser could be opened
}

// turnPause is how long nobody tries after one has failed, and how long it is believed that one hasn't.
const turnPause = time.Second

// openInTurn opens a stream when it has its turn. One that doesn't get it before ctx ends has failed.
func (p *provider) openInTurn(ctx context.Context, o stt.Options) (stt.Stream, error) {
	var last turn
	select {
	case last = <-p.turns:
	case <-ctx.Done():
		return nil, stt.Fail(p.label, stt.Unavailable, ctx.Err())
	}
	left := turnPause - time.Since(last.over)
	if last.good && left > 0 {
		p.turns <- last
		return p.Open(ctx, o)
	}
	if !last.good && left > 0 {
		select {
		case <-time.After(left):
		case <-ctx.Done():
			p.turns <- last
			return nil, stt.Fail(p.label, stt.Unavailable, ctx.Err())
		}
	}
	stream, err := p.Open(ctx, o)
	if !errors.Is(ctx.Err(), context.Canceled) { // else nobody wanted to know any more
		last = turn{over: time.Now(), good: err == nil}
	}
	p.turns <- last
	return stream, err
}

// barred reports whether a failure is that a breaker is open, or that another stream tries whether it still has to be.
func barred(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}
