// Package letterbox is the subscription in which Pub/Sub puts what nobody acknowledged.
package letterbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// subscription is the name of the one in which the letters are: infra/pubsub.tf.
const subscription = "dead-letter"

// batch is how many letters are asked for at once.
const batch = 100

// keep is how long the letters that are looked at are kept from others, the longest there is. If the command dies, they
// are back after that.
const keep = 600 * time.Second

// releaseLimit is how long it may take to give them back, also when the command is interrupted.
const releaseLimit = 10 * time.Second

// Options bound what is looked at.
type Options struct {
	Wait  time.Duration // after so long without another letter there are no more
	Limit int           // so many letters at most
}

// Box is the dead letters of a project.
type Box struct {
	Options
	client       *pubsub.Client
	subscription string
}

// Open connects to Pub/Sub, or to the emulator that PUBSUB_EMULATOR_HOST names.
func Open(ctx context.Context, project string, o Options) (*Box, error) {
	client, err := pubsub.NewClient(ctx, project)
	if err != nil {
		return nil, fmt.Errorf("open Pub/Sub: %w", err)
	}
	return &Box{o, client, fmt.Sprintf("projects/%s/subscriptions/%s", project, subscription)}, nil
}

// Close closes the connection.
func (b *Box) Close() {
	_ = b.client.Close() // all calls have been answered
}

// List gives the letters, oldest first, and leaves them in the box.
func (b *Box) List(ctx context.Context) ([]Letter, error) {
	letters, err := b.take(ctx)
	return letters, errors.Join(err, b.release(ctx, letters))
}

// Replay publishes letters again, each to the topic of its type, and takes those away of which Pub/Sub has
// acknowledged that. It is given ids of messages or events; none: all. It gives what was replayed, with an error for
// what was not.
func (b *Box) Replay(ctx context.Context, ids []string) (replayed []Letter, err error) {
	letters, err := b.take(ctx)
	defer func() {
		left := slices.DeleteFunc(letters, func(l Letter) bool {
			return slices.ContainsFunc(replayed, func(r Letter) bool { return r.ackID == l.ackID })
		})
		err = errors.Join(err, b.release(ctx, left))
	}()
	if err != nil {
		return nil, err
	}
	topics := map[string]*pubsub.Publisher{}
	defer func() {
		for _, topic := range topics {
			topic.Stop()
		}
	}()
	var errs []error
	for _, id := range ids {
		if !slices.ContainsFunc(letters, func(l Letter) bool { return l.is(id) }) {
			errs = append(errs, fmt.Errorf("there is no dead letter %s", id))
		}
	}
	for _, l := range letters {
		if len(ids) > 0 && !slices.ContainsFunc(ids, l.is) {
			continue
		}
		if err := b.replay(ctx, topics, l); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.MessageID, err))
			continue
		}
		replayed = append(replayed, l)
	}
	return replayed, errors.Join(errs...)
}

// replay publishes a letter and then takes it away. If it can't be taken away it is there for another time, which is
// harmless.
func (b *Box) replay(ctx context.Context, topics map[string]*pubsub.Publisher, l Letter) error {
	name, err := l.topic()
	if err != nil {
		return err
	}
	if topics[name] == nil {
		topics[name] = b.client.Publisher(name)
	}
	if _, err := topics[name].Publish(ctx, l.original()).Get(ctx); err != nil {
		return fmt.Errorf("publish again: %w", err)
	}
	r := &pubsubpb.AcknowledgeRequest{Subscription: b.subscription, AckIds: []string{l.ackID}}
	if err := b.client.SubscriptionAdminClient.Acknowledge(ctx, r); err != nil {
		return fmt.Errorf("published again, and is still in the box: %w", err)
	}
	return nil
}

// take pulls letters until no more come. Pub/Sub may say that there are none although there are, so it is asked until
// the wait is over.
func (b *Box) take(ctx context.Context) ([]Letter, error) {
	var letters []Letter
	known := map[string]bool{}
	last := time.Now()
	for len(letters) < b.Limit && time.Since(last) < b.Wait {
		received, err := b.pull(ctx, b.Limit-len(letters))
		if err != nil {
			return letters, err
		}
		var taken []Letter
		for _, r := range received {
			if l := newLetter(r); !known[l.MessageID] {
				known[l.MessageID] = true
				taken = append(taken, l)
			}
		}
		letters = append(letters, taken...)
		if err := b.extend(ctx, taken, keep); err != nil {
			return letters, err
		}
		if len(taken) > 0 {
			last = time.Now()
		}
	}
	slices.SortStableFunc(letters, func(a, b Letter) int { return a.Buried.Compare(b.Buried) })
	return letters, nil
}

func (b *Box) pull(ctx context.Context, limit int) ([]*pubsubpb.ReceivedMessage, error) {
	pulling, cancel := context.WithTimeout(ctx, b.Wait)
	defer cancel()
	answer, err := b.client.SubscriptionAdminClient.Pull(pulling, &pubsubpb.PullRequest{
		Subscription: b.subscription, MaxMessages: int32(min(limit, batch)), //nolint:gosec // it is small
	})
	if status.Code(err) == codes.DeadlineExceeded || pulling.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pull: %w", err)
	}
	return answer.GetReceivedMessages(), nil
}

// release gives letters back at once.
func (b *Box) release(ctx context.Context, letters []Letter) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
	defer cancel()
	return b.extend(ctx, letters, 0)
}

func (b *Box) extend(ctx context.Context, letters []Letter, deadline time.Duration) error {
	for part := range slices.Chunk(letters, batch) {
		r := &pubsubpb.ModifyAckDeadlineRequest{Subscription: b.subscription, AckDeadlineSeconds: int32(deadline.Seconds())}
		for _, l := range part {
			r.AckIds = append(r.AckIds, l.ackID)
		}
		if err := b.client.SubscriptionAdminClient.ModifyAckDeadline(ctx, r); err != nil {
			return fmt.Errorf("keep letters for %v: %w", deadline, err)
		}
	}
	return nil
}
