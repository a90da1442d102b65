package firestoretest

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/firestore"
)

// sizes run a benchmark on a server that has nothing else, and on one with a million documents.
func sizes(b *testing.B, run func(b *testing.B, c *firestore.Client)) {
	for _, documents := range []int{0, 1_000_000} {
		s := start(b, Options{})
		fill(b, s, "c", documents, func(i int) fields {
			return fields{"n": integer(int64(i)), "kind": integer(int64(i % 1000)), "text": stringValue("some words")}
		})
		c := connect(b, s)
		b.Run(fmt.Sprintf("documents=%d", documents), func(b *testing.B) { run(b, c) })
	}
}

func perSecond(b *testing.B) { b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s") }

func BenchmarkCommit(b *testing.B) {
	sizes(b, func(b *testing.B, c *firestore.Client) {
		var n atomic.Int64
		b.RunParallel(func(p *testing.PB) {
			doc := c.Doc(fmt.Sprintf("d/%d", n.Add(1)))
			for p.Next() {
				if _, err := doc.Set(b.Context(), data{"n": n.Add(1)}); err != nil {
					b.Error(err)
				}
			}
		})
		perSecond(b)
	})
}

func BenchmarkCommitToFile(b *testing.B) {
	c := connect(b, start(b, Options{File: filepath.Join(b.TempDir(), "db")}))
	for n := 0; b.Loop(); n++ {
		if _, err := c.Doc("d/1").Set(b.Context(), data{"n": n}); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b)
}

func BenchmarkGet(b *testing.B) {
	sizes(b, func(b *testing.B, c *firestore.Client) {
		put(b, c, map[string]data{"d/1": {"n": 1}})
		b.ResetTimer()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := c.Doc("d/1").Get(b.Context()); err != nil {
					b.Error(err)
				}
			}
		})
		perSecond(b)
	})
}

// The first query of its kind makes the index, here on 100,000 documents; the next one reads no more than it gives.
func BenchmarkFirstQuery(b *testing.B) {
	s, db := crowd(b, 100_000)
	q := connect(b, s).Collection("c").Where("kind", "in", []int{7, 8}).OrderBy("n", firestore.Desc).Limit(wanted)
	ask := func() int64 {
		before := db.examined.Load()
		if _, err := q.Documents(b.Context()).GetAll(); err != nil {
			b.Fatal(err)
		}
		return db.examined.Load() - before
	}
	for b.Loop() {
		clear(db.group("c").indexes)
		ask()
	}
	perSecond(b)
	if read := ask(); read > wanted+1 {
		b.Errorf("%d documents or entries read to give %d, once there is an index", read, wanted)
	}
}

// The first query of its kind is not counted.
func BenchmarkQuery(b *testing.B) {
	sizes(b, func(b *testing.B, c *firestore.Client) {
		q := c.Collection("c").Where("kind", "==", 7).OrderBy("n", firestore.Desc).Limit(10)
		if _, err := q.Documents(b.Context()).GetAll(); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := q.Documents(b.Context()).GetAll(); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b)
	})
}
