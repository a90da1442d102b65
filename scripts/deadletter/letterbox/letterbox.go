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
	Limit int           // so many letters at a time at most
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

// List gives the letters, oldest first, and leaves them in the box. Where they are as many as the limit there may be more.
func (b *Box) List(ctx context.Context) ([]Letter, error) {
	letters, err := b.take(ctx, map[string]bool{})
	return letters, errors.Join(err, b.release(ctx, letters))
}

// Replay publishes letters again, each to the topic of its type, and takes those away of which Pub/Sub has
// acknowledged that. It is given ids of messages or events, which it looks for among as many letters as the limit; none:
// all there are, however many. It gives what was replayed, with an error for what was not.
func (b *Box) Replay(ctx context.Context, ids []string) (replayed []Letter, err error) {
	r := &replaying{box: b, topics: map[string]*pubsub.Publisher{}}
	defer func() {
		for _, topic := range r.topics {
			topic.Stop()
		}
		err = errors.Join(err, b.release(ctx, r.left))
	}()
	known := map[string]bool{}
	for {
		letters, err := b.take(ctx, known)
		if err != nil {
			r.left = append(r.left, letters...)
			return r.replayed, errors.Join(append(r.errs, err)...)
		}
		if len(ids) > 0 {
			r.errs = b.missing(ids, letters)
		}
		r.round(ctx, ids, letters)
		if len(ids) > 0 || len(letters) < b.Limit {
			return r.replayed, errors.Join(r.errs...)
		}
	}
}

// missing has an error for each id that is not that of a letter.
func (b *Box) missing(ids []string, letters []Letter) (errs []error) {
	among := ""
	if len(letters) >= b.Limit {
		among = fmt.Sprintf(" among %d, which is the limit: there may be more", len(letters))
	}
	for _, id := range ids {
		if !slices.ContainsFunc(letters, func(l Letter) bool { return l.is(id) }) {
			errs = append(errs, fmt.Errorf("there is no dead letter %s%s", id, among))
		}
	}
	return errs
}

// replaying is one call of Replay.
type replaying struct {
	box      *Box
	topics   map[string]*pubsub.Publisher
	replayed []Letter
	left     []Letter // to be given back at the end: before, they would come again
	errs     []error
}

// round replays those of the letters that have one of the ids, or all. An event that was replayed in a round before isn't
// replayed again: it may have died of that, and would for ever.
func (r *replaying) round(ctx context.Context, ids []string, letters []Letter) {
	before := map[string]bool{}
	for _, l := range r.replayed {
		before[l.EventID] = true
	}
	for _, l := range letters {
		if len(ids) > 0 && !slices.ContainsFunc(ids, l.is) {
			r.left = append(r.left, l)
			continue
		}
		err := fmt.Errorf("its event %q was published again just before", l.EventID)
		if !before[l.EventID] {
			err = r.box.replay(ctx, r.topics, l)
		}
		if err != nil {
			r.left = append(r.left, l)
			r.errs = append(r.errs, fmt.Errorf("%s: %w", l.MessageID, err))
			continue
		}
		l.data, l.attributes = nil, nil // it may be one of very many
		r.replayed = append(r.replayed, l)
	}
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

// take pulls letters that are not known yet, by the ids of their messages, until no more come or they are as many as the
// limit. Pub/Sub may say that there are none although there are, so it is asked until the wait is over.
func (b *Box) take(ctx context.Context, known map[string]bool) ([]Letter, error) {
	var letters []Letter
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
