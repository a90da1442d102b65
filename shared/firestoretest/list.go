package firestoretest

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// defaultPage is how many entries a list has where the request doesn't say.
const defaultPage = 300

// ListDocuments lists the documents of a collection, by name unless the request orders them, and with ShowMissing also
// those that only have collections below them. A page token is the name or the number of the last entry before it.
func (s *Server) ListDocuments(_ context.Context, r *pb.ListDocumentsRequest) (*pb.ListDocumentsResponse, error) {
	db, err := s.database(r.GetParent())
	if err != nil {
		return nil, err
	}
	q, err := db.newList(r)
	if err != nil {
		return nil, err
	}
	wanted, err := newMask(r.GetMask())
	if err != nil {
		return nil, err
	}
	db.prepare(q)
	db.mu.RLock()
	defer db.mu.RUnlock()
	view, err := db.view(r, nil)
	if err != nil {
		return nil, err
	}
	size := int(r.GetPageSize())
	if size <= 0 {
		size = defaultPage
	}
	var listed []match
	if r.GetShowMissing() {
		listed = db.listMissing(q, view, key(r.GetPageToken()), size+1)
	} else {
		q.limit = size + 1
		listed = db.run(q, view.at).matches
		view.tx.sawQuery(db, q, listed)
	}
	response := &pb.ListDocumentsResponse{}
	if len(listed) > size {
		listed = listed[:size]
		response.NextPageToken = string(listed[size-1].key)
		if len(q.orders) > 1 {
			response.NextPageToken = positionToken(listed[size-1].position)
		}
	}
	for _, m := range listed {
		document := &pb.Document{Name: db.resource(m.key)}
		if m.exists() {
			document = db.proto(m.key, m.version, wanted)
		}
		response.Documents = append(response.Documents, document)
	}
	s.bill.read("ListDocuments", r.GetCollectionId(), max(1, len(listed)))
	return response, nil
}

// newList makes a query of a list, which begins after its page token.
func (db *database) newList(r *pb.ListDocumentsRequest) (*query, error) {
	orders, err := listOrders(r.GetOrderBy())
	if err != nil {
		return nil, err
	}
	if r.GetShowMissing() && len(orders) > 0 {
		return nil, invalid("missing documents can't be ordered")
	}
	q, err := db.newQuery(r.GetParent(), &pb.StructuredQuery{
		From:    []*pb.StructuredQuery_CollectionSelector{{CollectionId: r.GetCollectionId(), AllDescendants: r.GetCollectionId() == ""}},
		OrderBy: orders,
	})
	if err != nil || r.GetPageToken() == "" {
		return q, err
	}
	if len(q.orders) > 1 {
		q.start, err = boundOf(r.GetPageToken())
		return q, err
	}
	name := key(r.GetPageToken())
	if !strings.HasPrefix(string(name), q.prefix) {
		return nil, invalid("the page token belongs to another list")
	}
	position, _ := q.orders[0].append(nil, name, nil)
	q.start = &bound{position: string(position)}
	return q, nil
}

// positionToken and boundOf turn a position into a page token, which must be UTF-8, and back.
func positionToken(position string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(position))
}

func boundOf(token string) (*bound, error) {
	position, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, invalid("bad page token: %v", err)
	}
	return &bound{position: string(position)}, nil
}

// listOrders reads orders such as "a desc, b".
func listOrders(text string) ([]*pb.StructuredQuery_Order, error) {
	var orders []*pb.StructuredQuery_Order
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		o := &pb.StructuredQuery_Order{Direction: pb.StructuredQuery_ASCENDING}
		switch {
		case len(words) == 2 && strings.EqualFold(words[1], "desc"):
			o.Direction = pb.StructuredQuery_DESCENDING
		case len(words) == 1, len(words) == 2 && strings.EqualFold(words[1], "asc"):
		default:
			return nil, invalid("bad order %q", text)
		}
		o.Field = &pb.StructuredQuery_FieldReference{FieldPath: words[0]}
		orders = append(orders, o)
	}
	return orders, nil
}

// listMissing lists a collection by name, also what is only there because something is below it.
func (db *database) listMissing(q *query, v view, after key, limit int) []match {
	list := func(t time.Time) []match {
		var listed []match
		for last := after; len(listed) < limit; last = listed[len(listed)-1].key {
			more := false
			db.scan(q.prefix, beyondAll(last), t, func(k key, there version) bool {
				id, _, below := strings.Cut(string(k[len(q.prefix):]), separator)
				if below {
					there = version{}
				}
				listed = append(listed, match{key: key(q.prefix + id), version: there})
				more = true
				return false
			})
			if !more {
				break
			}
		}
		return listed
	}
	listed := list(v.at)
	v.tx.saw(func(t time.Time) bool {
		now := list(t)
		if len(now) != len(listed) {
			return false
		}
		for i, m := range now {
			if m.key != listed[i].key || !m.updated().Equal(listed[i].updated()) {
				return false
			}
		}
		return true
	})
	return listed
}

// ListCollectionIds lists the ids of the collections right below a document or the root. A page token is the last id
// before it.
func (s *Server) ListCollectionIds(_ context.Context, r *pb.ListCollectionIdsRequest) (*pb.ListCollectionIdsResponse, error) {
	db, err := s.database(r.GetParent())
	if err != nil {
		return nil, err
	}
	parent, err := db.parse(r.GetParent())
	if err != nil {
		return nil, err
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	view, err := db.view(untransacted{r}, nil)
	if err != nil {
		return nil, err
	}
	size := int(r.GetPageSize())
	if size <= 0 {
		size = defaultPage
	}
	response := &pb.ListCollectionIdsResponse{}
	last := r.GetPageToken()
	for {
		id, ok := db.nextCollection(parent.below(), last, view.at)
		if !ok {
			break
		}
		if len(response.GetCollectionIds()) == size {
			response.NextPageToken = last
			break
		}
		response.CollectionIds = append(response.CollectionIds, id)
		last = id
	}
	s.bill.read("ListCollectionIds", "", 1)
	return response, nil
}

// nextCollection is the id of the first collection after another in which there is something.
func (db *database) nextCollection(prefix, after string, t time.Time) (id string, ok bool) {
	var from key
	if after != "" {
		from = beyondAll(key(prefix + after))
	}
	db.scan(prefix, from, t, func(k key, _ version) bool {
		id, _, _ = strings.Cut(string(k[len(prefix):]), separator)
		ok = true
		return false
	})
	return id, ok
}

// beyondAll is a key after a document or collection and all that lies below it, and before any other.
func beyondAll(k key) key {
	if k == "" {
		return ""
	}
	return k + "\x00\xff"
}
