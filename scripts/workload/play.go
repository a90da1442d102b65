package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// stage is a part of the workload, and what came of it.
type stage struct {
	reads   map[string]int64 // by collection
	latency []time.Duration  // of each request, in order of their length
}

func (s stage) total() (n int64) {
	for _, reads := range s.reads {
		n += reads
	}
	return n
}

// percentile is how long the requests took of which p percent took no longer.
func (s stage) percentile(p int) time.Duration {
	if len(s.latency) == 0 {
		return 0
	}
	return s.latency[(len(s.latency)-1)*p/100]
}

// app is one person's, on both of their devices.
type app struct {
	world   *world
	uid     string
	client  *http.Client
	tags    [2]map[string]string // by target: what each device has
	link    string               // of the last answer
	turn    int                  // of the instances
	said    []string             // what was answered, in order
	latency []time.Duration
}

func (w *world) app(user int) *app {
	return &app{
		world: w, uid: uid(user), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}},
		tags: [2]map[string]string{{}, {}}, turn: user,
	}
}

// do makes a request of whichever instance is next and notes the answer.
func (a *app) do(ctx context.Context, s step) error {
	target := s.target
	if target == "" {
		target, _, _ = strings.Cut(strings.TrimPrefix(a.link, "<"), ">")
		if target == "" {
			return nil // that was all
		}
	}
	a.turn++
	r, err := http.NewRequestWithContext(ctx, s.method, a.world.instances[a.turn%a.world.Instances].url+target, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+a.uid)
	if tag := a.tags[s.device][target]; tag != "" && s.method == http.MethodGet {
		r.Header.Set("If-None-Match", tag)
	}
	began := time.Now()
	response, err := a.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	a.latency = append(a.latency, time.Since(began))
	if response.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("%s %s: %s", s.method, target, response.Status)
	}
	a.link = response.Header.Get("Link")
	// The tag is made from the answer's octets: where it is the same, so is the answer.
	tag := response.Header.Get("ETag")
	a.tags[s.device][target] = tag
	status := response.StatusCode
	if status == http.StatusNotModified {
		status = http.StatusOK
	}
	a.said = append(a.said, fmt.Sprintf("%s: %s %s: %d %s %s", a.uid, s.method, target, status, tag, a.link))
	return nil
}

// outcome is what came of a run.
type outcome struct {
	visits, talks stage
	said          []string // every answer, person by person
	hits          []hits
}

// play has everybody visit, and then some of them talk, and everybody at once.
func (w *world) play(ctx context.Context) (outcome, error) {
	plans := make([][][]step, w.Users)
	apps := make([]*app, w.Users)
	for user := range plans {
		plans[user], apps[user] = plan(w.Seed, user, w.options), w.app(user)
		defer apps[user].client.CloseIdleConnections()
	}
	var o outcome
	for visit := range w.Visits {
		err := w.together(ctx, apps, &o.visits, func(ctx context.Context, user int) error {
			for _, s := range plans[user][visit] {
				if err := apps[user].do(ctx, s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return o, err
		}
	}
	err := w.together(ctx, apps, &o.talks, func(ctx context.Context, user int) error {
		if user%2 == 1 {
			return nil
		}
		return apps[user].watch(ctx)
	})
	for _, a := range apps {
		o.said = append(o.said, a.said...)
	}
	for _, i := range w.instances {
		w.past = append(w.past, i.stats()...)
	}
	o.hits = hitsOf(w.past)
	return o, err
}

// together has each person do something, all at once, with nothing kept from before, and adds what came of it.
func (w *world) together(ctx context.Context, apps []*app, s *stage, do func(ctx context.Context, user int) error) error {
	if err := w.forget(ctx); err != nil {
		return err
	}
	w.firestore.ResetBill()
	all, ctx := errgroup.WithContext(ctx)
	for user := range apps {
		all.Go(func() error { return do(ctx, user) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if s.reads == nil {
		s.reads = make(map[string]int64)
	}
	for item, used := range w.firestore.Bill() {
		if used.Reads > 0 {
			s.reads[item.Collection] += used.Reads
		}
	}
	for _, a := range apps {
		s.latency = append(s.latency, a.latency...)
		a.latency = nil
	}
	slices.Sort(s.latency)
	return nil
}
