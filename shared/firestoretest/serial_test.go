package firestoretest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"strconv"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/anishathalye/porcupine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// registers are what a few documents hold: 0 where there is none.
type registers [registerCount]int64

const registerCount = 4

// transfer is a transaction as its client knows it: what it saw, and what it wrote.
type transfer struct {
	saw, wrote map[int]int64
}

// registersModel applies a transfer in one step if it saw what there was.
var registersModel = porcupine.Model{
	Init: func() any { return registers{} },
	Step: func(state, input, _ any) (bool, any) {
		now, t := state.(registers), input.(transfer)
		for i, n := range t.saw {
			if now[i] != n {
				return false, now
			}
		}
		for i, n := range t.wrote {
			now[i] = n
		}
		return true, now
	},
}

// Whatever clients do at once, however commits fail and answers get lost, what happened could have happened one
// transaction after the other, each at some time between its first call and its last answer.
func TestTransactionsAreSerializable(t *testing.T) {
	for seed := range uint64(4) {
		history := contend(t, seed, true)
		switch porcupine.CheckOperationsTimeout(registersModel, history, time.Minute) {
		case porcupine.Illegal:
			t.Fatalf("seed %d: no order of %d transactions explains what they saw", seed, len(history))
		case porcupine.Unknown:
			t.Fatalf("seed %d: the check of %d transactions took too long", seed, len(history))
		}
	}
}

// The check is worth something: it finds out clients that commit outside of their transactions, as if the server had
// not looked again at what they read.
func TestUnserializableIsFound(t *testing.T) {
	for seed := range uint64(20) {
		if porcupine.CheckOperationsTimeout(registersModel, contend(t, seed, false), time.Minute) == porcupine.Illegal {
			return
		}
	}
	t.Error("no lost update was found in 20 histories of transactions that were not validated")
}

// contend lets clients do random transactions on few documents, and gives those that took effect.
func contend(t *testing.T, seed uint64, validated bool) []porcupine.Operation {
	const clients, rounds = 6, 40
	s := start(t, Options{})
	for _, after := range []bool{false, true} { // a tenth of the commits fails, another one loses its answer
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // chance, not a secret
		s.Inject(Fault{Method: "Commit", Times: -1, After: after, Code: codes.Unavailable, Match: func(proto.Message) bool {
			return random.IntN(10) == 0
		}})
	}
	w := wire(t, s)
	var mu sync.Mutex
	var history []porcupine.Operation
	var group sync.WaitGroup
	began := time.Now()
	for id := range clients {
		random := rand.New(rand.NewPCG(seed, uint64(id)+2)) //nolint:gosec // chance, not a secret
		group.Go(func() {
			for round := range rounds {
				c := contender{t: t, wire: w, random: random, unique: int64(id*rounds + round + 1)}
				called := time.Since(began)
				took := c.run(t.Context(), validated)
				returned := time.Since(began)
				if !took {
					continue
				}
				mu.Lock()
				history = append(history, porcupine.Operation{
					ClientId: id, Input: c.transfer, Call: called.Nanoseconds(), Return: returned.Nanoseconds(),
				})
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(history) < clients*rounds/4 {
		t.Errorf("only %d of %d transactions took effect", len(history), clients*rounds)
	}
	return history
}

// contender does one transaction.
type contender struct {
	transfer
	t      *testing.T
	wire   pb.FirestoreClient
	random *rand.Rand
	unique int64 // in all of the history
}

func registerName(i int) string { return fmt.Sprintf("%s/registers/%d", testDocuments, i) }

// run reads some registers or all, and writes some. It reports whether that took effect.
func (c *contender) run(ctx context.Context, validated bool) bool {
	begun, err := c.wire.BeginTransaction(ctx, &pb.BeginTransactionRequest{Database: testDatabase})
	if err != nil {
		c.t.Error(err)
		return false
	}
	id := begun.GetTransaction()
	c.saw, c.wrote = make(map[int]int64), make(map[int]int64)
	if c.random.IntN(3) == 0 {
		err = c.query(ctx, id)
	} else {
		err = c.get(ctx, id)
	}
	if err != nil {
		c.t.Error(err)
		return false
	}
	var writes []*pb.Write
	for i := range registerCount {
		switch c.random.IntN(4) {
		case 0:
			c.wrote[i] = c.unique
			writes = append(writes, &pb.Write{Operation: &pb.Write_Update{
				Update: &pb.Document{Name: registerName(i), Fields: fields{"n": integer(c.unique)}},
			}})
		case 1:
			c.wrote[i] = 0
			writes = append(writes, &pb.Write{Operation: &pb.Write_Delete{Delete: registerName(i)}})
		}
	}
	marker := fmt.Sprintf("markers/%d", c.unique)
	if len(writes) > 0 { // else it only reads, which needs no validation
		writes = append(writes, replace(marker, nil))
	}
	commit := &pb.CommitRequest{Database: testDatabase, Writes: writes}
	if validated {
		commit.Transaction = id
	}
	_, err = c.wire.Commit(ctx, commit)
	switch status.Code(err) {
	case codes.OK:
		return true
	case codes.Aborted:
		return false
	case codes.Unavailable: // it took effect if it left its marker; a transaction that wrote nothing has no effect
		_, err := c.wire.GetDocument(ctx, &pb.GetDocumentRequest{Name: testDocuments + "/" + marker})
		return len(writes) == 0 || err == nil
	default:
		c.t.Error(err)
		return false
	}
}

// get reads some registers.
func (c *contender) get(ctx context.Context, id []byte) error {
	r := &pb.BatchGetDocumentsRequest{
		Database: testDatabase, ConsistencySelector: &pb.BatchGetDocumentsRequest_Transaction{Transaction: id},
	}
	for i := range registerCount {
		if c.random.IntN(2) == 0 {
			r.Documents = append(r.Documents, registerName(i))
			c.saw[i] = 0
		}
	}
	stream, err := c.wire.BatchGetDocuments(ctx, r)
	if err != nil {
		return err
	}
	for range r.GetDocuments() {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		if d := response.GetFound(); d != nil {
			c.see(d)
		}
	}
	return nil
}

// query reads all registers by a query.
func (c *contender) query(ctx context.Context, id []byte) error {
	stream, err := c.wire.RunQuery(ctx, &pb.RunQueryRequest{
		Parent: testDocuments, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: &pb.StructuredQuery{
			From:    []*pb.StructuredQuery_CollectionSelector{{CollectionId: "registers"}},
			OrderBy: []*pb.StructuredQuery_Order{{Field: &pb.StructuredQuery_FieldReference{FieldPath: "n"}}},
		}},
		ConsistencySelector: &pb.RunQueryRequest_Transaction{Transaction: id},
	})
	if err != nil {
		return err
	}
	for i := range registerCount {
		c.saw[i] = 0
	}
	all, err := receive(stream.Recv)
	for _, response := range all {
		if d := response.GetDocument(); d != nil {
			c.see(d)
		}
	}
	return err
}

func (c *contender) see(d *pb.Document) {
	i, err := strconv.Atoi(path.Base(d.GetName()))
	if err != nil {
		c.t.Error(err)
	}
	c.saw[i] = d.GetFields()["n"].GetIntegerValue()
}
