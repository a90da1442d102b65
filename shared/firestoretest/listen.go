package firestoretest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Listen tells of changes to documents and to what queries find. What is told adds up to one state after another: each
// ends with a NO_CHANGE for all targets, with its time and a token to go on from there. States in between two may be
// left out. (Messages and their order:
// https://firebase.google.com/docs/firestore/reference/rpc/google.firestore.v1#listenresponse.)
func (s *Server) Listen(stream pb.Firestore_ListenServer) error {
	request, err := stream.Recv()
	if err != nil {
		return endOfRequests(err)
	}
	db, err := s.database(request.GetDatabase())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	l := &listener{
		db: db, bill: &s.bill,
		wake: make(chan struct{}, 1), written: make(map[key]bool), targets: make(map[int32]*target),
	}
	db.listen(l)
	var sender sync.WaitGroup
	sender.Go(func() { l.tell(ctx, stream) })
	defer func() {
		db.unlisten(l)
		cancel()
		sender.Wait()
	}()
	for {
		if request.GetDatabase() != db.name {
			return invalid("the stream is for %s, not for %q", db.name, request.GetDatabase())
		}
		l.ask(request)
		if request, err = stream.Recv(); err != nil {
			return endOfRequests(err)
		}
	}
}

// endOfRequests is how a stream ends that its client ended.
func endOfRequests(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// listener is one Listen stream. One goroutine takes in requests, commits are noted by whoever makes them, and one
// goroutine tells the client.
type listener struct {
	db   *database
	bill *bill
	wake chan struct{} // holds one if there is something to tell

	mu       sync.Mutex // taken after the database's
	written  map[key]bool
	requests []asked

	targets map[int32]*target // the teller's
	told    []*pb.ListenResponse
}

// asked is a target to add, or one to remove.
type asked struct {
	*pb.ListenRequest
	target *target
	err    error // why it can't be added
}

func (db *database) listen(l *listener) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.listeners[l] = true
}

func (db *database) unlisten(l *listener) {
	db.mu.Lock()
	defer db.mu.Unlock()
	delete(db.listeners, l)
}

// ask notes a request.
func (l *listener) ask(r *pb.ListenRequest) {
	a := asked{ListenRequest: r}
	if wanted := r.GetAddTarget(); wanted != nil {
		a.target, a.err = l.db.newTarget(wanted)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, a)
	l.awake()
}

// push notes what a commit has written. It never waits for the client.
func (l *listener) push(changes []change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range changes {
		l.written[c.key] = true
	}
	l.awake()
}

func (l *listener) awake() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

// tell tells the client what there is to tell, until the context ends or the client is gone.
func (l *listener) tell(ctx context.Context, stream pb.Firestore_ListenServer) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		l.advance()
		for _, response := range l.told {
			if err := stream.Send(response); err != nil {
				return // Recv fails too
			}
		}
		l.told = nil
	}
}

// advance brings all targets to the present.
func (l *listener) advance() {
	l.mu.Lock()
	requests := l.requests
	l.requests = nil
	l.mu.Unlock()
	l.prepare(requests)
	l.db.mu.RLock()
	defer l.db.mu.RUnlock()
	l.mu.Lock()
	written := l.written
	l.written = make(map[key]bool)
	l.mu.Unlock()
	now := l.db.clock.tick()
	news := false
	for _, t := range l.targets {
		if l.refresh(t, written, now) {
			news = true
		}
	}
	for _, r := range requests {
		switch change := r.GetTargetChange().(type) {
		case *pb.ListenRequest_AddTarget:
			if l.add(change.AddTarget, r.target, r.err, now) {
				news = true
			}
		case *pb.ListenRequest_RemoveTarget:
			if l.targets[change.RemoveTarget] != nil {
				l.remove(change.RemoveTarget, nil)
			}
		}
	}
	if news {
		l.change(pb.TargetChange_NO_CHANGE, now)
	}
}

// prepare makes the indexes that the queries of targets would like, those that are there and those that are asked for.
func (l *listener) prepare(requests []asked) {
	for _, t := range l.targets {
		t.prepare()
	}
	for _, r := range requests {
		r.target.prepare()
	}
}

// add takes up a target and tells what it has. One that can't be listened to, for a cause, is removed with the cause.
func (l *listener) add(wanted *pb.Target, t *target, err error, now time.Time) bool {
	id := wanted.GetTargetId()
	for ; id == 0 || wanted.GetTargetId() == 0 && l.targets[id] != nil; id++ { // 0: the server chooses
	}
	if l.targets[id] != nil {
		l.remove(id, invalid("there is a target %d already", id))
		return false
	}
	since, malformed := resumeTime(wanted)
	if err = cmp.Or(err, malformed); err != nil {
		l.remove(id, err)
		return false
	}
	t.id, l.targets[id] = id, t
	l.change(pb.TargetChange_ADD, time.Time{}, id)
	switch {
	case since.IsZero():
	case l.db.checkTime(since) == nil:
		for _, m := range t.find(since) {
			t.has[m.key] = m.at
		}
	default: // it is not known any more what the client has
		l.change(pb.TargetChange_RESET, time.Time{}, id)
		since = time.Time{}
	}
	before := len(l.told)
	l.update(t, now)
	if len(l.told) == before && t.query != nil && since.IsZero() {
		l.bill.read("Listen", t.query.group, 1) // as for a query that finds nothing
	}
	if !since.IsZero() {
		l.told = append(l.told, &pb.ListenResponse{ResponseType: &pb.ListenResponse_Filter{
			Filter: &pb.ExistenceFilter{TargetId: id, Count: int32(len(t.has))}, //nolint:gosec // fits in memory
		}})
	}
	l.change(pb.TargetChange_CURRENT, now, id)
	if wanted.GetOnce() {
		l.remove(id, nil)
	}
	return true
}

// remove ends a target, for a cause if there is one.
func (l *listener) remove(id int32, cause error) {
	delete(l.targets, id)
	change := &pb.TargetChange{TargetChangeType: pb.TargetChange_REMOVE, TargetIds: []int32{id}}
	if cause != nil {
		change.Cause = &spb.Status{Code: int32(status.Code(cause)), Message: status.Convert(cause).Message()} //nolint:gosec // codes are small
	}
	l.told = append(l.told, &pb.ListenResponse{ResponseType: &pb.ListenResponse_TargetChange{TargetChange: change}})
}

// change tells what became of some targets, or of all, at a time if it is not zero.
func (l *listener) change(kind pb.TargetChange_TargetChangeType, at time.Time, ids ...int32) {
	change := &pb.TargetChange{TargetChangeType: kind, TargetIds: ids}
	if !at.IsZero() {
		change.ReadTime = timestamppb.New(at)
		change.ResumeToken = resumeToken(at)
	}
	l.told = append(l.told, &pb.ListenResponse{ResponseType: &pb.ListenResponse_TargetChange{TargetChange: change}})
}
