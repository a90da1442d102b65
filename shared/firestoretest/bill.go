package firestoretest

import (
	"maps"
	"sync"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// Usage is what Firestore would bill, in documents
// (https://firebase.google.com/docs/firestore/pricing#operations): a query that finds nothing is a read, as is one of
// a document that isn't there; what an offset skips is read; a thousand index entries of an aggregation are a read; a
// write is a write even if it changes nothing.
type Usage struct{ Reads, Writes, Deletes int64 }

// Item is what a usage is for.
type Item struct {
	Method     string // such as Commit
	Collection string // the id: conversations, not users/ann/conversations; "" where a call is for none
}

// bill adds up usage and calls.
type bill struct {
	mu    sync.Mutex
	usage map[Item]Usage
	calls map[string]int64
}

// Bill is the usage since the start or the last ResetBill.
func (s *Server) Bill() map[Item]Usage {
	s.bill.mu.Lock()
	defer s.bill.mu.Unlock()
	return maps.Clone(s.bill.usage)
}

// Total is the sum of the bill.
func (s *Server) Total() Usage {
	var total Usage
	for _, u := range s.Bill() {
		total.Reads += u.Reads
		total.Writes += u.Writes
		total.Deletes += u.Deletes
	}
	return total
}

// Calls is how many calls of a method came in since the start or the last ResetBill, failed ones too.
func (s *Server) Calls(method string) int64 {
	s.bill.mu.Lock()
	defer s.bill.mu.Unlock()
	return s.bill.calls[method]
}

// ResetBill forgets what was counted.
func (s *Server) ResetBill() {
	s.bill.mu.Lock()
	defer s.bill.mu.Unlock()
	s.bill.usage, s.bill.calls = nil, nil
}

func (b *bill) called(method string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls == nil {
		b.calls = make(map[string]int64)
	}
	b.calls[method]++
}

func (b *bill) add(item Item, u Usage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.usage == nil {
		b.usage = make(map[Item]Usage)
	}
	old := b.usage[item]
	b.usage[item] = Usage{old.Reads + u.Reads, old.Writes + u.Writes, old.Deletes + u.Deletes}
}

func (b *bill) read(method, collection string, n int) {
	b.add(Item{method, collection}, Usage{Reads: int64(n)})
}

// wrote bills writes that were committed.
func (b *bill) wrote(method string, writes []*pb.Write) {
	for _, w := range writes {
		item := Item{method, collectionOf(nameOf(w))}
		if w.GetDelete() != "" {
			b.add(item, Usage{Deletes: 1})
		} else {
			b.add(item, Usage{Writes: 1})
		}
	}
}
