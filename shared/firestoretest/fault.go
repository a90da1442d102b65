package firestoretest

import (
	"context"
	"path"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Fault is what befalls some calls. The real client retries some codes by itself: see the defaults in
// cloud.google.com/go/firestore/apiv1.
type Fault struct {
	// Method is the calls' method, such as Commit; "": any.
	Method string
	// Match chooses among them by their request, such as a *firestorepb.CommitRequest; nil: all. It is never called
	// twice at once.
	Match func(request proto.Message) bool
	// Skip is how many such calls go well before; Times is how many are then befallen; 0: one; -1: all.
	Skip, Times int
	// After has it happen when the call has taken effect, and its answer is lost; else the call has no effect.
	After bool
	// Wait is called where the fault happens, and may keep the call waiting. It ends with the call's context.
	Wait func(ctx context.Context, request proto.Message)
	// Delay is how long the call is held up, after Wait.
	Delay time.Duration
	// Code is what the call ends with. OK: it is only held up.
	Code codes.Code
}

// faults are the rules that are in force, in the order of their coming.
type faults struct {
	mu    sync.Mutex
	rules []*rule
}

type rule struct {
	Fault
	seen int // calls that matched
}

// Inject puts a fault in force until it is removed or has befallen all the calls that it is for. A call is befallen by
// one fault at most, the one that came first.
func (s *Server) Inject(f Fault) (remove func()) {
	if f.Times == 0 {
		f.Times = 1
	}
	r := &rule{Fault: f}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = append(s.faults.rules, r)
	return func() {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		s.faults.rules = slices.DeleteFunc(s.faults.rules, func(other *rule) bool { return other == r })
	}
}

// pick gives what befalls a call; nil: nothing.
func (fs *faults) pick(method string, request any) *Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	m, _ := request.(proto.Message)
	for _, r := range fs.rules {
		if r.Method != "" && r.Method != method || r.Match != nil && !r.Match(m) {
			continue
		}
		r.seen++
		if nth := r.seen - r.Skip; nth > 0 && (r.Times < 0 || nth <= r.Times) {
			return &r.Fault
		}
	}
	return nil
}

// happen holds the call up and gives the error that it ends with.
func (f *Fault) happen(ctx context.Context, request any) error {
	if m, ok := request.(proto.Message); ok && f.Wait != nil {
		f.Wait(ctx, m)
	}
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-ctx.Done():
		}
	}
	if f.Code == codes.OK {
		return nil
	}
	return status.Errorf(f.Code, "injected %v", f.Code)
}

// unary is where calls with one answer come in.
func (s *Server) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	s.bill.called(method)
	if err := checkRequest(ctx); err != nil {
		return nil, err
	}
	f := s.faults.pick(method, request)
	switch {
	case f == nil:
		return handle(ctx, request)
	case !f.After:
		if err := f.happen(ctx, request); err != nil {
			return nil, err
		}
		return handle(ctx, request)
	default:
		response, err := handle(ctx, request)
		if fault := f.happen(ctx, request); fault != nil {
			return nil, fault
		}
		return response, err
	}
}

// requestSizes has grpc tell how large requests are: to count that again takes as long as to send one.
type requestSizes struct{}

// sizeKey is that of the size of a call's last request, in bytes, in its context.
type sizeKey struct{}

func (requestSizes) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, sizeKey{}, new(int))
}

func (requestSizes) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		*ctx.Value(sizeKey{}).(*int) = in.Length
	}
}

func (requestSizes) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (requestSizes) HandleConn(context.Context, stats.ConnStats) {}

// checkRequest refuses the call's last request where it is too large.
func checkRequest(ctx context.Context) error {
	if size, ok := ctx.Value(sizeKey{}).(*int); ok && *size > maxRequest {
		return invalid("the request has %d bytes, over the limit of %d", *size, maxRequest)
	}
	return nil
}

// stream is where calls with many answers come in.
func (s *Server) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	s.bill.called(path.Base(info.FullMethod))
	f := &faultyStream{ServerStream: stream, server: s, method: path.Base(info.FullMethod)}
	err := handle(srv, f)
	if f.fault != nil && f.fault.After {
		if fault := f.fault.happen(stream.Context(), f.request); fault != nil {
			return fault
		}
	}
	return err
}

// faultyStream learns of a fault with the first request.
type faultyStream struct {
	grpc.ServerStream
	server  *Server
	method  string
	request any // the first
	fault   *Fault
}

// RecvMsg fails where a fault comes before the effect.
func (f *faultyStream) RecvMsg(m any) error {
	if err := f.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if f.request != nil {
		return nil
	}
	f.request = m
	if err := checkRequest(f.Context()); err != nil {
		return err
	}
	if f.fault = f.server.faults.pick(f.method, m); f.fault != nil && !f.fault.After {
		return f.fault.happen(f.Context(), m)
	}
	return nil
}

// SendMsg loses the answer where a fault comes after the effect.
func (f *faultyStream) SendMsg(m any) error {
	if f.fault != nil && f.fault.After && f.fault.Code != codes.OK {
		return nil
	}
	return f.ServerStream.SendMsg(m)
}
