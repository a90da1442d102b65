package firestoretest

import (
	"cmp"
	"errors"
	"net"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
)

// Options choose what a server does beside the usual.
type Options struct {
	// File is where all databases are kept, so that another server can go on with them; none: in memory only. A commit
	// is in the file, whole, before it is answered. Versions of the past are not kept there.
	File string
	// From is a server with whose present documents this one begins, in memory only; what is written to either of them then
	// isn't seen in the other.
	From *Server
	// History is how long versions of the past can be read: Firestore's hour, if it is zero. A long test with many
	// writes may want less.
	History time.Duration
	// Indexes are the composite indexes that there are: a query that needs another is refused with FAILED_PRECONDITION,
	// as Firestore does, and its emulator doesn't. nil: there is every index.
	Indexes []Index
	// Now is the clock that commits go by: time.Now, if it is nil. Times grow even if it doesn't.
	Now func() time.Time
}

// Server is a running server. It is safe for concurrent use, and there can be many.
type Server struct {
	pb.UnimplementedFirestoreServer

	options Options
	addr    string
	grpc    *grpc.Server
	serves  sync.WaitGroup
	disk    *disk
	bill    bill
	faults  faults

	mu        sync.Mutex
	databases map[string]*database // by resource name, projects/{p}/databases/{d}
}

// maxMessage is how large a request may be to be refused politely, in bytes.
const maxMessage = 64 << 20

// NewServer starts a server on a port of the loopback interface.
func NewServer(o Options) (*Server, error) {
	o.History = cmp.Or(o.History, time.Hour) // https://firebase.google.com/docs/firestore/pitr
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{options: o, databases: make(map[string]*database)}
	if err := s.open(); err != nil {
		return nil, err
	}
	if o.From != nil {
		s.take(o.From)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it doesn't block
	if err != nil {
		return nil, errors.Join(err, s.disk.close())
	}
	s.addr = listener.Addr().String()
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage), grpc.WaitForHandlers(true), grpc.StatsHandler(requestSizes{}),
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream),
	)
	pb.RegisterFirestoreServer(s.grpc, s)
	s.serves.Go(func() {
		if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			panic(err) // the listener is ours alone
		}
	})
	return s, nil
}

// take begins with the documents of another server. What is stored is never changed, so that both may have it.
func (s *Server) take(from *Server) {
	from.mu.Lock()
	defer from.mu.Unlock()
	for name, other := range from.databases {
		db := s.newDatabase(name)
		other.mu.RLock()
		db.clock.pass(time.UnixMicro(other.clock.last.Load()))
		other.documents.Scan(func(k key, d *document) bool {
			if v := d.latest(); v.exists() {
				db.add(&document{key: k, versions: []version{v}})
			}
			return true
		})
		other.mu.RUnlock()
		db.since = db.clock.tick()
		s.databases[name] = db
	}
}

// Addr is host:port, as FIRESTORE_EMULATOR_HOST takes it.
func (s *Server) Addr() string { return s.addr }

// Close ends all calls and releases the port and the file.
func (s *Server) Close() {
	s.grpc.Stop()
	s.serves.Wait()
	if err := s.disk.close(); err != nil {
		panic(err) // all transactions on it have ended
	}
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
		db = s.newDatabase(name)
		s.databases[name] = db
	}
	return db, nil
}

func (s *Server) newDatabase(name string) *database {
	return &database{
		name: name, clock: &clock{now: s.options.Now}, kept: s.options.History, disk: s.disk, indexes: s.options.Indexes,
		groups: make(map[string]*group), listeners: make(map[*listener]bool),
	}
}
