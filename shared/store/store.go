package store

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"earshot.dev/shared/fault"
)

// Store is the documents of all users. It is safe for concurrent use.
type Store struct {
	client *firestore.Client
}

// Open connects to the default database of a project, or to the emulator that FIRESTORE_EMULATOR_HOST names.
func Open(ctx context.Context, project string) (*Store, error) {
	client, err := firestore.NewClient(ctx, project)
	if err != nil {
		return nil, fault.New(fault.Internal, "open firestore", err)
	}
	return &Store{client}, nil
}

// Close releases the connection.
func (s *Store) Close() error { return fault.New(fault.Internal, "close firestore", s.client.Close()) }

func (s *Store) user(uid string) *firestore.DocumentRef {
	return s.client.Collection("users").Doc(uid)
}

func (s *Store) device(uid, device string) *firestore.DocumentRef {
	return s.user(uid).Collection("devices").Doc(device)
}

func (s *Store) conversation(uid, cid string) *firestore.DocumentRef {
	return s.user(uid).Collection("conversations").Doc(cid)
}

// deleted says that there was a conversation with an id that a client gave. The id isn't given again: its events and its
// usage have it, and those of another would be taken for repeats.
func (s *Store) deleted(uid, cid string) *firestore.DocumentRef {
	return s.user(uid).Collection("deleted").Doc(cid)
}

// page is a page of a conversation; numbers have leading zeros so that names sort as numbers do.
func page(conversation *firestore.DocumentRef, number int) *firestore.DocumentRef {
	return conversation.Collection("pages").Doc(fmt.Sprintf("%06d", number))
}

// fieldTag reads the name of a struct field's document field, and whether it may be left out.
func fieldTag(f reflect.StructField) (name string, optional bool) {
	name, option, _ := strings.Cut(f.Tag.Get("firestore"), ",")
	return name, option == "omitempty"
}

// transact runs f in a transaction, and in another one where it collided with one of somebody else's, or where the answer to
// its commit was lost. The client sends a commit again that fails with Unavailable, and the service, if it has taken it,
// refuses the second one: the transaction has expired. So what f does must be the same done twice. After a collision the
// client pauses for up to a second, and would for up to 15 s in all if it tried again by itself: a session that ends has less.
func (s *Store) transact(ctx context.Context, f func(context.Context, *firestore.Transaction) error,
	options ...firestore.TransactionOption,
) error {
	options = append(options, firestore.MaxAttempts(1))
	err := s.client.RunTransaction(ctx, f, options...)
	for try := 1; try < transactTries && (expired(err) || status.Code(err) == codes.Aborted) && ctx.Err() == nil; try++ {
		err = s.client.RunTransaction(ctx, f, options...)
	}
	if expired(err) {
		return fault.New(fault.Unavailable, "commit transaction", err)
	}
	return err
}

const transactTries = 8

// expired reports whether a transaction was over before its commit came. The code is that of any request that is wrong;
// only the text tells.
func expired(err error) bool {
	return status.Code(err) == codes.InvalidArgument && strings.Contains(err.Error(), "transaction has expired")
}

// kinds says what the service's codes mean to a caller. What isn't listed is a bug of ours. Unavailable covers
// all that may pass, whether or not the request took effect.
var kinds = map[codes.Code]fault.Kind{
	codes.NotFound:           fault.NotFound,
	codes.FailedPrecondition: fault.Conflict,
	codes.AlreadyExists:      fault.Conflict,
	codes.Aborted:            fault.Unavailable,
	codes.Unavailable:        fault.Unavailable,
	codes.DeadlineExceeded:   fault.Unavailable,
	codes.Canceled:           fault.Unavailable,
	codes.ResourceExhausted:  fault.Unavailable,
	codes.Internal:           fault.Unavailable,
	codes.Unknown:            fault.Unavailable,
}

// wrap gives an error of the client the kind that its code stands for. One that has a kind already, because a
// transaction's function returned it, keeps it.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if fault.KindOf(err) != fault.Internal {
		return fault.Wrap(op, err)
	}
	return fault.New(kinds[status.Code(err)], op, err)
}
