package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/firestoretest"
)

// register is something that one writer at a time counts up.
type register struct {
	cid          string
	acknowledged atomic.Int64
}

// Writers and readers on several instances, at random, with delays between what a load reads and what it stores: no
// read that begins after a write was acknowledged gives less, neither of the conversation nor in a list. It fails if
// the check of cache.exchangeEntry is taken out.
func TestReadYourWrites(t *testing.T) {
	w := newWorld(t)
	slow := func(ctx context.Context, _ proto.Message) {
		select {
		case <-time.After(rand.N(4 * time.Millisecond)):
		case <-ctx.Done():
		}
	}
	instances := []*instance{w.instance(t), w.instance(t), w.instance(t)}
	listen := w.instance(t)
	var titles []*register
	for range 2 {
		titles = append(titles, &register{cid: instances[0].hold(time.Now(), 1).ID})
	}
	live := listen.begin("phone", time.Now())
	listen.say(&live, 0, 1)
	said := &register{cid: live.ID}
	said.acknowledged.Store(1)
	for _, method := range []string{"BatchGetDocuments", "RunQuery"} {
		w.firestore.Inject(firestoretest.Fault{Method: method, Times: -1, After: true, Wait: slow})
	}
	pick := func() *instance { return instances[rand.N(len(instances))] }
	// Redis that takes over 100 ms to answer counts as down, and less is promised then. So on a busy machine a round
	// may say nothing; one of them has to say something.
	for round := 0; ; round++ {
		before := statsOf(instances)
		failed := make(chan string, 100)
		race(t, 1500*time.Millisecond, func(ctx context.Context, run func(func())) {
			for _, r := range titles {
				run(func() { r.rename(pick()) })
				for range 3 {
					run(func() { r.readTitle(pick(), failed) })
				}
			}
			run(func() {
				r := said.acknowledged.Load() + 1
				listen.say(&live, 0, int(min(r, 128)))
				said.acknowledged.Store(min(r, 128))
			})
			for range 3 {
				run(func() { said.readSegments(pick(), failed) })
			}
		})
		after := statsOf(instances)
		if after.redisErrors > before.redisErrors && round < 10 {
			t.Logf("round %d: Redis was slow", round)
			continue
		}
		close(failed)
		for f := range failed {
			t.Error(f)
		}
		t.Logf("%d and %d renamings, %d hits, %d loads, %d overtaken", titles[0].acknowledged.Load(), titles[1].acknowledged.Load(),
			after.hits-before.hits, after.loads-before.loads, after.overtaken-before.overtaken)
		if after.hits == before.hits || after.overtaken == before.overtaken {
			t.Error("nothing was kept, or no load was overtaken: this has shown nothing")
		}
		return
	}
}

// race runs what it is given again and again, each in a goroutine, until the time is over.
func race(t *testing.T, limit time.Duration, begin func(ctx context.Context, run func(func()))) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), limit)
	defer stop()
	var all sync.WaitGroup
	begin(ctx, func(step func()) {
		all.Go(func() {
			for ctx.Err() == nil {
				step()
				select {
				case <-time.After(rand.N(5 * time.Millisecond)):
				case <-ctx.Done():
				}
			}
		})
	})
	all.Wait()
}

type sums struct{ hits, loads, overtaken, redisErrors int64 }

func statsOf(instances []*instance) (sum sums) {
	for _, i := range instances {
		for _, s := range i.db.Read.Stats() {
			sum.hits += s.LocalHits + s.RedisHits
			sum.loads += s.Loads
			sum.overtaken += s.Overtaken
			sum.redisErrors += s.RedisErrors
		}
	}
	return sum
}

// get is a request like call's, of any goroutine.
func (i *instance) get(method, target string, into any) error {
	r := httptest.NewRequestWithContext(context.Background(), method, target, nil)
	r.Header.Set("Authorization", "anna")
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	if w.Code != 200 {
		return fmt.Errorf("%s %s: status %d, %s", method, target, w.Code, w.Body)
	}
	return json.Unmarshal(w.Body.Bytes(), into)
}

func (r *register) rename(i *instance) {
	next := r.acknowledged.Load() + 1
	var answer any
	if err := i.get("PATCH", fmt.Sprintf("/v1/conversations/%s/title?title=%d", r.cid, next), &answer); err == nil {
		r.acknowledged.Store(next)
	}
}

func (r *register) readTitle(i *instance, failed chan<- string) {
	least := r.acknowledged.Load()
	check := func(what string, c conversation.Wire, err error) {
		got, number := strconv.ParseInt(strings.ReplaceAll(c.Structured.Title, "T", "0"), 10, 64)
		if err != nil || number != nil || got < least {
			report(failed, fmt.Sprintf("%s: got title %q (%v), want %d or later", what, c.Structured.Title, err, least))
		}
	}
	if rand.N(2) == 0 {
		var c conversation.Wire
		err := i.get("GET", "/v1/conversations/"+r.cid, &c)
		check("conversation", c, err)
		return
	}
	var list []conversation.Wire
	err := i.get("GET", "/v1/conversations?limit=10", &list)
	for _, c := range list {
		if c.ID == r.cid {
			check("list", c, err)
			return
		}
	}
	report(failed, fmt.Sprintf("list: it is not in it (%v)", err))
}

func (r *register) readSegments(i *instance, failed chan<- string) {
	least := r.acknowledged.Load()
	var c conversation.Wire
	if err := i.get("GET", "/v1/conversations/"+r.cid, &c); err != nil || int64(len(c.Segments)) < least {
		report(failed, fmt.Sprintf("live: got %d segments (%v), want %d or more", len(c.Segments), err, least))
	}
}

func report(failed chan<- string, what string) {
	select {
	case failed <- what:
	default: // enough is known
	}
}
