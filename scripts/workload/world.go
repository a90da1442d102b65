package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"earshot.dev/functions/conversations/api"
	"earshot.dev/shared/account"
	"earshot.dev/shared/cache"
	"earshot.dev/shared/cached"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/event"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/redisclient"
	"earshot.dev/shared/redistest"
	"earshot.dev/shared/store"
	"earshot.dev/shared/transcript"
	"earshot.dev/shared/usage"
)

const (
	project = "workload"
	// emulator is how Google's client finds the test server; there is no other way that store.Open knows.
	emulator = "FIRESTORE_EMULATOR_HOST"
)

// world is the system that the workload is played against.
type world struct {
	options
	withCache bool
	firestore *firestoretest.Server
	redis     *redistest.Server
	instances []*instance
	listen    *instance     // where words come in
	past      []cache.Stats // of instances that are gone
}

// backend is a store as those have it who write.
type backend interface {
	api.Store
	Attach(ctx context.Context, uid string, a conversation.Attachment) (conversation.Conversation, transcript.Page, error)
	RecordUsage(ctx context.Context, uid, cid string, hours usage.Hours) (usage.Totals, error)
}

// instance is one process of a function.
type instance struct {
	backend
	read   api.Reader
	stats  func() []cache.Stats
	url    string
	server *http.Server
	ended  chan error // of server
	close  func() error
}

func newWorld(ctx context.Context, o options, past *firestoretest.Server, withCache bool) (_ *world, err error) {
	w := &world{options: o, withCache: withCache}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.firestore, err = firestoretest.NewServer(firestoretest.Options{From: past}); err != nil {
		return nil, err
	}
	if err := os.Setenv(emulator, w.firestore.Addr()); err != nil {
		return nil, err
	}
	if w.redis, err = redistest.Start(); err != nil {
		return nil, err
	}
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	for _, method := range []string{"BatchGetDocuments", "RunQuery", "RunAggregationQuery"} {
		if o.Delay > 0 {
			w.firestore.Inject(firestoretest.Fault{Method: method, Times: -1, Delay: o.Delay})
		}
	}
	return w, nil
}

func (w *world) close() error {
	err := w.shut()
	if w.redis != nil {
		w.redis.Stop()
	}
	if w.firestore != nil {
		w.firestore.Close()
	}
	return errors.Join(err, os.Unsetenv(emulator))
}

// open starts the instances.
func (w *world) open(ctx context.Context) error {
	for range w.Instances + 1 {
		i, err := w.instance(ctx)
		if err != nil {
			return err
		}
		w.instances = append(w.instances, i)
	}
	w.listen = w.instances[w.Instances]
	return nil
}

// shut ends the instances.
func (w *world) shut() error {
	var errs []error
	for _, i := range w.instances {
		w.past = append(w.past, i.stats()...)
		errs = append(errs, i.server.Close(), <-i.ended, i.close())
	}
	w.instances = nil
	return errors.Join(errs...)
}

// forget throws away all that is kept anywhere.
func (w *world) forget(ctx context.Context) error {
	return errors.Join(w.shut(), w.redis.Restart(), w.open(ctx))
}

// nobody hears of what is published.
type nobody struct{}

func (nobody) Publish(context.Context, event.Event) error { return nil }

func (w *world) instance(ctx context.Context) (*instance, error) {
	documents, err := store.Open(ctx, project)
	if err != nil {
		return nil, err
	}
	i := &instance{
		backend: uncached{documents}, read: direct{documents}, close: documents.Close, ended: make(chan error, 1),
		stats: func() []cache.Stats { return nil },
	}
	if w.withCache {
		rdb, err := redisclient.Open(redisclient.Config{URL: "redis://" + w.redis.Addr()})
		if err != nil {
			return nil, errors.Join(err, documents.Close())
		}
		i.keep(documents, rdb)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, i.close())
	}
	i.url = "http://" + listener.Addr().String()
	i.server = &http.Server{Handler: api.New(api.Options{ //nolint:gosec // nobody else can reach it
		Reader: i.read, Store: i, Publisher: nobody{}, User: user, Rate: rate.Inf, Burst: 1,
	})}
	go func() {
		err := i.server.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		i.ended <- err
	}()
	return i, nil
}

// keep puts the cache before the documents.
func (i *instance) keep(documents *store.Store, rdb *redis.Client) {
	db := cached.New(documents, rdb)
	i.backend, i.read, i.stats = db, db.Read, db.Read.Stats
	i.close = func() error { return errors.Join(db.Close(), rdb.Close()) }
}

// user takes the token for the user: what it costs to verify one is the same with the cache and without.
func user(r *http.Request) (string, time.Time, error) {
	uid, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "", time.Time{}, fault.Newf(fault.Unauthenticated, "read token", "there is none")
	}
	return uid, time.Now(), nil
}

// uncached has nothing to forget.
type uncached struct{ *store.Store }

func (uncached) Forget(context.Context, string, string) {}

// direct reads what is asked for, each time.
type direct struct{ *store.Store }

func (d direct) Head(ctx context.Context, uid, cid string) (conversation.Conversation, error) {
	return d.Store.Conversation(ctx, uid, cid)
}

func (d direct) Conversation(ctx context.Context, uid, cid string) (conversation.Conversation, []transcript.Segment, error) {
	c, err := d.Store.Conversation(ctx, uid, cid)
	if err != nil {
		return c, nil, err
	}
	segments, err := d.Segments(ctx, uid, cid)
	return c, segments, err
}

func (d direct) Admit(ctx context.Context, uid string, _ time.Time) (account.Profile, error) {
	return d.Profile(ctx, uid)
}

func (d direct) Anchored(context.Context, string, conversation.Filter, conversation.Window) bool {
	return false
}

func (d direct) Photos(ctx context.Context, uid string, c *conversation.Conversation) ([]conversation.Photo, error) {
	if c.Photos == 0 {
		return nil, nil
	}
	return d.Store.Photos(ctx, uid, c.ID, c.Photos)
}
