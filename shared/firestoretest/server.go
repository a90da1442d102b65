package firestoretest

import (
	"errors"
	"net"
	"sync"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
)

// Options choose what a server does beside the usual. There is nothing to choose yet.
type Options struct{}

// Server is a running server. It is safe for concurrent use, and there can be many.
type Server struct {
	pb.UnimplementedFirestoreServer

	addr   string
	grpc   *grpc.Server
	serves sync.WaitGroup

	mu        sync.Mutex
	databases map[string]*database // by resource name, projects/{p}/databases/{d}
}

// maxMessage is what a request may have, in bytes: Firestore's limit of 10 MiB, and room for the envelope.
const maxMessage = 11 << 20

// NewServer starts a server on a port of the loopback interface.
func NewServer(Options) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it doesn't block
	if err != nil {
		return nil, err
	}
	s := &Server{
		addr:      listener.Addr().String(),
		grpc:      grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage)),
		databases: make(map[string]*database),
	}
	pb.RegisterFirestoreServer(s.grpc, s)
	s.serves.Go(func() {
		if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			panic(err) // the listener is ours alone
		}
	})
	return s, nil
}

// Addr is host:port, as FIRESTORE_EMULATOR_HOST takes it.
func (s *Server) Addr() string { return s.addr }

// Close ends all calls and releases the port.
func (s *Server) Close() {
	s.grpc.Stop()
	s.serves.Wait()
}

// database finds the database that a resource name lies in; it is there as soon as it is spoken of.
func (s *Server) database(resource string) (*database, error) {
	name, err := databaseOf(resource)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	db := s.databases[name]
	if db == nil {
		db = newDatabase(name)
		s.databases[name] = db
	}
	return db, nil
}
