package cache

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/redistest"
)

// conversation is about 4 KB of JSON, as a finished conversation without many words is.
type conversation struct {
	ID       string    `json:"id"`
	Started  time.Time `json:"started_at"`
	Segments []segment `json:"segments"`
}

type segment struct {
	ID      string  `json:"id"`
	Text    string  `json:"text"`
	Speaker string  `json:"speaker"`
	Start   float64 `json:"start"`
	End     float64 `json:"end"`
}

func sample(id string) conversation {
	c := conversation{ID: id, Started: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	for i := range 20 {
		c.Segments = append(c.Segments, segment{
			ID:      "0b5c1d62-5d8e-4b7e-9f3a-" + strconv.Itoa(100000000000+i),
			Text:    strings.Repeat("words ", 15),
			Speaker: "SPEAKER_00",
			Start:   float64(i) * 1.5,
			End:     float64(i)*1.5 + 1.25,
		})
	}
	return c
}

// BenchmarkHit is the first layer by itself.
func BenchmarkHit(b *testing.B) {
	q := process(b, redistest.New(b), Options{LocalTTL: time.Hour}, load)
	for b.Loop() {
		if _, err := q.Get(b.Context(), "k"); err != nil {
			b.Fatal(err)
		}
	}
}

func load(_ context.Context, key string) (conversation, error) { return sample(key), nil }

// BenchmarkRedis has a Query answer from Redis, or from a loader that takes no time, in turn with what one would
// write by hand on the same client: GET and JSON; and SET after a miss. ns/op is for the two together; the medians of
// each, and what Get takes in percent of the other, are metrics of their own:
//
//	go test -run - -bench Redis -benchtime 5000x -count 5 ./shared/cache
func BenchmarkRedis(b *testing.B) {
	q := process(b, redistest.New(b), Options{}, load)
	client := q.remote.client
	byHand := func(ctx context.Context, key string) error {
		raw, err := client.Get(ctx, key).Bytes()
		if err == nil {
			var c conversation
			return json.Unmarshal(raw, &c)
		}
		if !errors.Is(err, redis.Nil) {
			return err
		}
		if raw, err = json.Marshal(sample(key)); err != nil {
			return err
		}
		return client.Set(ctx, key, raw, time.Minute).Err()
	}
	ways := []func(ctx context.Context, key string) error{
		byHand,
		func(ctx context.Context, key string) error { _, err := q.Get(ctx, key); return err },
	}
	last := 0
	for name, key := range map[string]func() string{
		"hit":  func() string { return "k" },
		"miss": func() string { last++; return strconv.Itoa(last) },
	} {
		b.Run(name, func(b *testing.B) {
			took := make([][]time.Duration, len(ways))
			for i := range b.N {
				for j := range ways {
					j = (i + j) % len(ways)
					key := key()
					began := time.Now()
					if err := ways[j](b.Context(), key); err != nil {
						b.Fatal(err)
					}
					took[j] = append(took[j], time.Since(began))
				}
			}
			median := func(d []time.Duration) float64 {
				slices.Sort(d)
				return float64(d[len(d)/2]) / float64(time.Microsecond)
			}
			b.ReportMetric(median(took[0]), "µs-by-hand")
			b.ReportMetric(median(took[1]), "µs-get")
			b.ReportMetric(100*median(took[1])/median(took[0]), "%-of-by-hand")
		})
	}
}
