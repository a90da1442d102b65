// Package aggregator adds what conversations report to the usage of their users by hour, day and month.
package aggregator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/usage"
)

// Store keeps the counters. Recording what is known, or less than what is known, changes nothing.
type Store interface {
	// It gives what was new.
	RecordUsage(ctx context.Context, uid, cid string, hours usage.Hours) (usage.Totals, error)
}

// Hold runs fn while nobody else runs one under the name. fault.Busy: somebody does.
type Hold func(ctx context.Context, name string, fn func(context.Context) error) error

// Aggregator takes in reports of usage. It is safe for concurrent use.
type Aggregator struct {
	Store Store
	Hold  Hold // keeps reports of one user from meeting in the same transaction; the store gets it right all the same
}

// Record handles usage.recorded. It returns fault.Invalid for a report that can never be counted.
func (a *Aggregator) Record(ctx context.Context, e event.Event) error {
	const op = "record usage"
	report, err := event.Decode[event.Usage](e)
	if err != nil {
		return fault.New(fault.Invalid, op, err)
	}
	if err := check(report); err != nil {
		return fault.New(fault.Invalid, op, err)
	}
	err = a.Hold(ctx, "usage:"+report.UID, func(ctx context.Context) error {
		more, err := a.Store.RecordUsage(ctx, report.UID, report.ConversationID, report.Hours)
		if err == nil {
			signal(ctx, more)
		}
		return err
	})
	return fault.Wrap(op, err)
}

// check says what is wrong with a report, without quoting it.
func check(report event.Usage) error {
	for _, id := range []string{report.UID, report.ConversationID} {
		if id == "" || strings.Contains(id, "/") {
			return errors.New("it names no conversation")
		}
	}
	if len(report.Hours) == 0 {
		return errors.New("it has no hours")
	}
	for hour, t := range report.Hours {
		if _, _, ok := usage.Periods(hour); !ok {
			return fmt.Errorf("one of its %d hours is none", len(report.Hours))
		}
		if t.AudioMS < 0 || t.SpeechMS < 0 || t.Words < 0 {
			return fmt.Errorf("its totals at %s are negative", hour)
		}
	}
	return nil
}
