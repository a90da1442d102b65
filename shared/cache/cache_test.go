package cache

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		slog.Error("goroutines were left", "error", err)
		code = 1
	}
	os.Exit(code)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// patience bounds what a test waits for; nothing here takes as long.
const patience = 20 * time.Second

// doc is what is cached here: a number that grows with each write, and something that needs decoding.
type doc struct {
	Revision int64             `json:"revision"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// database is what a Query reads from. Where hold is set, a read that has its answer waits there.
type database struct {
	revision atomic.Int64 // of every document; 0 is none
	reads    atomic.Int64
	hold     func(ctx context.Context, key string)
}

func (d *database) read(ctx context.Context, key string) (doc, error) {
	d.reads.Add(1)
	answer := doc{Revision: d.revision.Load()}
	if d.hold != nil {
		d.hold(ctx, key)
	}
	if answer.Revision == 0 {
		return doc{}, fault.Newf(fault.NotFound, "read", "no %s here", key)
	}
	return answer, nil
}

// process is a Query as another instance would have it: with its own client and first layer.
func process[T any](tb testing.TB, server *redistest.Server, o Options, load func(context.Context, string) (T, error)) *Query[T] {
	tb.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	o.Name = "doc"
	q := New(client, o, load)
	tb.Cleanup(func() {
		q.Close()
		if err := client.Close(); err != nil {
			tb.Error(err)
		}
	})
	return q
}

// hook stands between a Query and its Redis: it may do without the call, or something before or after it.
type hook func(ctx context.Context, cmd redis.Cmder, call redis.ProcessHook) error

func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h(ctx, cmd, next) }
}

func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func get(t *testing.T, q *Query[doc], want int64) {
	t.Helper()
	if got, err := q.Get(t.Context(), "k"); err != nil || got.Revision != want {
		t.Errorf("got revision %d, %v, want %d", got.Revision, err, want)
	}
}

// stored is the entry in Redis under the key k, a value without its head, and how long it still lasts.
func stored(t *testing.T, q *Query[doc]) (string, time.Duration) {
	t.Helper()
	entry, err := q.remote.client.Get(t.Context(), "cache:doc:v0:k").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if strings.HasPrefix(entry, "v") {
		entry = "v" + entry[headLength:]
	}
	return entry, q.remote.client.PTTL(t.Context(), "cache:doc:v0:k").Val()
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(patience)
	for tick := time.NewTicker(2 * time.Millisecond); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("still not so after %v: %s", patience, what)
		}
	}
}

func TestLayers(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(7)
	const ttl = time.Minute
	a := process(t, server, Options{LocalTTL: time.Hour, TTL: ttl}, db.read)
	b := process(t, server, Options{LocalTTL: time.Hour, TTL: ttl}, db.read)
	for _, q := range []*Query[doc]{a, a, b, b} {
		get(t, q, 7)
	}
	entry, left := stored(t, a)
	if want := `v{"revision":7}`; entry != want {
		t.Errorf("got entry %q, want %q", entry, want)
	}
	if left > ttl || left < ttl*9/10-10*time.Second {
		t.Errorf("the entry lasts for %v, want up to a tenth less than %v", left, ttl)
	}
	size := int64(headLength + len(`{"revision":7}`))
	if got, want := a.Stats(), (Stats{Name: "doc", LocalHits: 1, Misses: 1, Loads: 1, BytesWritten: size}); got != want {
		t.Errorf("first process: got %+v, want %+v", got, want)
	}
	if got, want := b.Stats(), (Stats{Name: "doc", LocalHits: 1, RedisHits: 1, BytesRead: size}); got != want {
		t.Errorf("second process: got %+v, want %+v", got, want)
	}
	other := process(t, server, Options{Version: 2}, db.read)
	get(t, other, 7)
	if got := other.Stats().Loads; got != 1 {
		t.Errorf("another version: got %d loads, want 1", got)
	}
}

func TestNotFound(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	const negative = 3 * time.Second
	a := process(t, server, Options{LocalTTL: time.Hour, NegativeTTL: negative}, db.read)
	b := process(t, server, Options{}, db.read)
	for _, q := range []*Query[doc]{a, a, b, b} {
		if _, err := q.Get(t.Context(), "k"); !fault.Is(err, fault.NotFound) || fault.ReasonOf(err) != "no k here" {
			t.Errorf("got %v, want not found, with the loader's reason", err)
		}
	}
	if got := db.reads.Load(); got != 1 {
		t.Errorf("got %d reads, want 1", got)
	}
	if entry, left := stored(t, a); entry != "nno k here" || left > negative {
		t.Errorf("got entry %q for %v, want nno k here for %v at most", entry, left, negative)
	}
	db.revision.Store(1)
	a.Invalidate(t.Context(), "k")
	get(t, a, 1)
	get(t, b, 1)
}

// Errors are not kept, and don't keep others from trying.
func TestErrorsAreNotKept(t *testing.T) {
	server := redistest.New(t)
	broken := fault.New(fault.Unavailable, "read", errors.New("broken"))
	for name, load := range map[string]func(context.Context, string) (doc, error){
		"failed":   func(context.Context, string) (doc, error) { return doc{Revision: 3}, broken },
		"panicked": func(context.Context, string) (doc, error) { panic(broken) },
	} {
		t.Run(name, func(t *testing.T) {
			q := process(t, server, Options{LocalTTL: time.Hour}, load)
			for range 2 {
				if got, err := q.Get(t.Context(), "k"); err == nil || got.Revision != 0 {
					t.Errorf("got %v, %v, want an error and nothing else", got, err)
				} else if name == "failed" && (!errors.Is(err, broken) || !fault.Is(err, fault.Unavailable)) {
					t.Errorf("got %v, want %v", err, broken)
				} else if name == "panicked" && (fault.SeverityOf(err) != fault.Critical || !strings.Contains(err.Error(), "cache_test.go")) {
					t.Errorf("got %v, want something critical, with the stack", err)
				}
			}
			if entry, _ := stored(t, q); entry != "" {
				t.Errorf("entry %q is left", entry)
			}
			if s := q.Stats(); s.Loads != 2 || s.LoadErrors != 2 {
				t.Errorf("got %+v, want 2 loads, 2 errors", s)
			}
		})
	}
}

// await lets time pass in a load.
func await(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func TestCancelledCaller(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	loading, proceed := make(chan struct{}), make(chan struct{})
	db.hold = func(ctx context.Context, _ string) {
		close(loading)
		select {
		case <-proceed:
		case <-ctx.Done():
			t.Error("the load ended with the caller who began it")
		}
	}
	q := process(t, server, Options{}, db.read)
	ctx, cancel := context.WithCancelCause(t.Context())
	first, second := make(chan error), make(chan error)
	go func() {
		_, err := q.Get(ctx, "k")
		first <- err
	}()
	<-loading
	go func() {
		got, err := q.Get(t.Context(), "k")
		if got.Revision != 1 {
			t.Errorf("got revision %d, want 1", got.Revision)
		}
		second <- err
	}()
	reason := errors.New("the client is gone")
	cancel(reason)
	if err := <-first; !errors.Is(err, reason) || !fault.Is(err, fault.Unavailable) {
		t.Errorf("cancelled: got %v, want unavailable: %v", err, reason)
	}
	close(proceed)
	if err := <-second; err != nil {
		t.Errorf("the other caller: %v", err)
	}
	if got := db.reads.Load(); got != 1 {
		t.Errorf("got %d loads, want 1", got)
	}
}

func TestBounded(t *testing.T) {
	server := redistest.New(t)
	const bytes = 100_000
	value := strings.Repeat("x", 900)
	q := process(t, server, Options{LocalTTL: time.Hour, LocalBytes: bytes}, func(context.Context, string) (string, error) {
		return value, nil
	})
	for i := range 2000 {
		if got, err := q.Get(t.Context(), strconv.Itoa(i)); got != value || err != nil {
			t.Fatalf("got %q, %v, want %q", got, err, value)
		}
	}
	answers := q.local.(otterLocal).answers
	answers.CleanUp()
	if got, size := answers.WeightedSize(), answers.EstimatedSize(); got > bytes || size < 90 || size > bytes/len(value) {
		t.Errorf("got %d entries of %d bytes, want %d bytes at most, and hardly less", size, got, bytes)
	}
}

func TestClosed(t *testing.T) {
	server := redistest.New(t)
	db := &database{}
	db.revision.Store(1)
	q := process(t, server, Options{LocalTTL: time.Hour}, db.read)
	get(t, q, 1)
	q.Close()
	get(t, q, 1)
	if _, err := q.Get(t.Context(), "other"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	q.Invalidate(t.Context(), "k")
	if entry, _ := stored(t, q); entry != "" {
		t.Errorf("entry %q is left", entry)
	}
}

func TestClientWithoutDeadlines(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a client that ignores deadlines was taken")
		}
	}()
	client := redis.NewClient(&redis.Options{})
	defer client.Close() // of no more use
	New(client, Options{}, (&database{}).read)
}

func FuzzDecode(f *testing.F) {
	value := string(head(tagValue, 0, time.Now()))
	for _, entry := range []string{value + `{"revision":1}`, "v", value + "null", value, "nno such thing", "n", "lTOKEN", "{}", "v{", "\xff"} {
		f.Add(entry)
		f.Add("r" + entry[1:])
	}
	q := &Query[doc]{name: "doc", ttl: time.Minute, negativeTTL: time.Second}
	f.Fuzz(func(t *testing.T, entry string) {
		if entry == "" {
			return // nothing there
		}
		a, err := q.decode([]byte(entry))
		if err != nil {
			return
		}
		again := q.encode(t.Context(), a).bytes
		if due(again) {
			t.Errorf("%q is to be refreshed at once", again)
		}
		b, err := q.decode(again)
		if err != nil || b.value.Revision != a.value.Revision || fault.ReasonOf(b.err) != fault.ReasonOf(a.err) {
			t.Errorf("%q was read as %+v, written as %q and read as %+v, %v", entry, a, again, b, err)
		}
	})
}

// captured gives a context whose log lines can be read.
func captured(t *testing.T) (context.Context, *lines) {
	l := &lines{}
	return logging.NewContext(t.Context(), slog.New(slog.NewTextHandler(l, nil))), l
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(event string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), event)
}
