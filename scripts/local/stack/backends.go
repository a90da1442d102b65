package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"earshot.dev/shared/event"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/redistest"
)

// The variables by which Google's clients find emulators. Where one is set, that emulator is used.
const (
	firestoreEmulator = "FIRESTORE_EMULATOR_HOST"
	pubsubEmulator    = "PUBSUB_EMULATOR_HOST"
)

// deadLetterTopic is where messages end that nobody acknowledges, and the name of its one subscription.
const deadLetterTopic = "dead-letter"

// ackDeadline is how long Pub/Sub waits for a sign of life of who pulls, in seconds; the client gives them.
const ackDeadline = 60

// subscriptions say to which functions each topic is pushed. The name of a subscription is {topic}-{function}.
var subscriptions = []struct{ eventType, function string }{
	{event.ConversationEnded, "finalize"},
	{event.ConversationFinalized, "integrations"},
	{event.TranscriptAppended, "integrations"},
	{event.AudioAppended, "integrations"},
	{event.UsageRecorded, "usage"},
}

// backends are what the functions stand on.
type backends struct {
	firestoreAddr, pubsubAddr string
	documents                 *firestoretest.Server
	redis                     *redistest.Server
	firestore                 *firestore.Client
	pubsub                    *pubsub.Client

	close []func() error // in the order of opening
}

// openBackends starts what isn't running elsewhere. Firestore's documents are kept in the directory data, unless it is
// "".
func openBackends(ctx context.Context, project, data string) (_ *backends, err error) {
	b := &backends{firestoreAddr: os.Getenv(firestoreEmulator), pubsubAddr: os.Getenv(pubsubEmulator)}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	for _, name := range []string{firestoreEmulator, pubsubEmulator} {
		if err := answers(ctx, name); err != nil {
			return nil, err
		}
	}
	if b.firestoreAddr == "" {
		server, err := openFirestore(data)
		if err != nil {
			return nil, err
		}
		b.documents, b.firestoreAddr = server, server.Addr()
		b.closes(func() error { server.Close(); return nil })
	}
	if b.pubsubAddr == "" {
		server := pstest.NewServer()
		b.pubsubAddr = server.Addr
		b.closes(server.Close)
	}
	if b.redis, err = redistest.Start(); err != nil {
		return nil, err
	}
	b.closes(func() error { b.redis.Stop(); return nil })
	if b.firestore, err = firestore.NewClient(ctx, project, emulated(b.firestoreAddr)...); err != nil {
		return nil, fmt.Errorf("open Firestore: %w", err)
	}
	b.closes(b.firestore.Close)
	if b.pubsub, err = pubsub.NewClient(ctx, project, emulated(b.pubsubAddr)...); err != nil {
		return nil, fmt.Errorf("open Pub/Sub: %w", err)
	}
	b.closes(b.pubsub.Close)
	return b, b.subscribe(ctx, project)
}

// answersWithin is how long an emulator may take to accept a connection; Google's clients would try for minutes.
const answersWithin = 5 * time.Second

// answers finds out whether somebody listens where a variable says that an emulator is.
func answers(ctx context.Context, variable string) error {
	addr := os.Getenv(variable)
	if addr == "" {
		return nil
	}
	dialer := net.Dialer{Timeout: answersWithin}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%s=%s: no emulator answers there: %w", variable, addr, err)
	}
	return conn.Close()
}

// documentsFile is the name of the file that documents are kept in.
const documentsFile = "firestore.db"

func openFirestore(data string) (*firestoretest.Server, error) {
	if data == "" {
		return firestoretest.NewServer(firestoretest.Options{})
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	return firestoretest.NewServer(firestoretest.Options{File: filepath.Join(data, documentsFile)})
}

func (b *backends) closes(close func() error) { b.close = append(b.close, close) }

// Close ends what was opened, the last first.
func (b *backends) Close() error {
	var errs []error
	for _, close := range slices.Backward(b.close) {
		errs = append(errs, close())
	}
	b.close = nil
	return errors.Join(errs...)
}

// emulated are the options by which a client of Google's speaks to an emulator, as its variable has it do; only that
// a variable is set for the whole process.
func emulated(addr string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(addr),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithPerRPCCredentials(owner{})),
	}
}

// owner is what the Firestore emulator lets do everything.
type owner struct{}

func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (owner) RequireTransportSecurity() bool { return false }

// subscribe makes the topics and subscriptions, those that are not there yet.
func (b *backends) subscribe(ctx context.Context, project string) error {
	topics := []string{deadLetterTopic}
	for _, t := range event.Types {
		topics = append(topics, event.Topic(t))
	}
	for _, topic := range topics {
		_, err := b.pubsub.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topicName(project, topic)})
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	wanted := []*pubsubpb.Subscription{{
		Name: subscriptionName(project, deadLetterTopic), Topic: topicName(project, deadLetterTopic),
	}}
	for _, s := range subscriptions {
		wanted = append(wanted, &pubsubpb.Subscription{
			Name:  subscriptionName(project, subscriptionOf(s.eventType, s.function)),
			Topic: topicName(project, event.Topic(s.eventType)), EnableMessageOrdering: event.Ordered(s.eventType),
		})
	}
	for _, s := range wanted {
		s.AckDeadlineSeconds = ackDeadline
		_, err := b.pubsub.SubscriptionAdminClient.CreateSubscription(ctx, s)
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return fmt.Errorf("create subscription %s: %w", s.Name, err)
		}
	}
	return nil
}

func subscriptionOf(eventType, function string) string {
	return event.Topic(eventType) + "-" + function
}

func topicName(project, topic string) string {
	return fmt.Sprintf("projects/%s/topics/%s", project, topic)
}

func subscriptionName(project, subscription string) string {
	return fmt.Sprintf("projects/%s/subscriptions/%s", project, subscription)
}
