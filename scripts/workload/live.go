package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/shared/usage"
)

const (
	lookEach  = 600 * time.Millisecond // as Omi's backend looked at the live document
	countEach = time.Minute            // as it summed the hours, and as Earshot counts usage
	flushEach = time.Second
	liveID    = "live"
)

// watch has a person talk, and both of their devices show it.
func (a *app) watch(ctx context.Context) error {
	w := a.world
	start := time.Now().UTC().Truncate(24 * time.Hour) // the same in both runs, but over midnight
	if err := w.admit(ctx, a.uid, start); err != nil {
		return err
	}
	t, err := begin(ctx, w.listen, a.uid, liveID, start)
	if err != nil {
		return err
	}
	const path = "/v1/conversations/" + liveID
	for passed := time.Duration(0); passed < w.Talk; passed += lookEach {
		if due(passed, flushEach) {
			t.at = start.Add(passed)
			t.grow()
			if err := t.flush(ctx); err != nil {
				return err
			}
		}
		if due(passed, countEach) {
			if err := t.count(ctx); err != nil {
				return err
			}
		}
		for device := range 2 {
			if err := a.do(ctx, step{http.MethodGet, path, device}); err != nil {
				return err
			}
		}
	}
	if err := t.finish(ctx); err != nil {
		return err
	}
	for device := range 2 {
		for _, target := range []string{path + "/finalization", path, fmt.Sprintf("/v1/conversations?limit=%d", window)} {
			if err := a.do(ctx, step{http.MethodGet, target, device}); err != nil {
				return err
			}
		}
	}
	return nil
}

// due says whether something that is done each so often has to be done at a look.
func due(passed, each time.Duration) bool { return passed/each > (passed-lookEach)/each || passed == 0 }

// admit reads what listen reads before it lets somebody in: the profile, and the month for what is left of the plan.
func (w *world) admit(ctx context.Context, uid string, now time.Time) error {
	if _, err := w.listen.read.Admit(ctx, uid, now); err != nil {
		return err
	}
	month := usage.Month(now)
	_, err := w.listen.read.Months(ctx, uid, month, month)
	return err
}

// hotReads makes the reads that Omi made for as much talk, and counts them.
func (w *world) hotReads(ctx context.Context) (s stage, err error) {
	client, err := firestore.NewClient(ctx, project)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	err = w.together(ctx, make([]*app, 0), &s, nil) // nothing is kept, and nothing was read
	if err != nil {
		return s, err
	}
	for user := 0; user < w.Users; user += 2 {
		of := client.Collection("users").Doc(uid(user))
		for passed := time.Duration(0); passed < w.Talk; passed += lookEach {
			if _, err := of.Collection("conversations").Doc(liveID).Get(ctx); err != nil {
				return s, err
			}
			if !due(passed, countEach) {
				continue
			}
			hourly := of.Collection("usage").OrderBy(firestore.DocumentID, firestore.Asc).
				StartAt("h").EndBefore("i").LimitToLast(hours)
			if _, err := hourly.Documents(ctx).GetAll(); err != nil {
				return s, err
			}
		}
	}
	for item, used := range w.firestore.Bill() {
		s.reads[item.Collection] += used.Reads
	}
	return s, nil
}
