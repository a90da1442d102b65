// Package broadcast tells something to all instances of a service at once, over Redis. A message may be lost, and none is
// kept for who isn't there: what is told must come out by other means too, if later.
package broadcast

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"earshot.dev/shared/fault"
)

// sendTimeout is of one message, with the client's own retries.
const sendTimeout = 250 * time.Millisecond

// Channel carries messages of one kind.
type Channel struct {
	client *redis.Client
	name   string
}

// New gives the channel called name in the client's Redis.
func New(client *redis.Client, name string) *Channel {
	return &Channel{client, "broadcast:" + name}
}

// Send tells a message to all who listen, this process too. Unavailable: Redis didn't answer within 250 ms; some may have
// heard it.
func (c *Channel) Send(ctx context.Context, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := c.client.Publish(ctx, c.name, message).Err(); err != nil {
		return fault.New(fault.Unavailable, "broadcast", err)
	}
	return nil
}

// Listen hands what is told from now on to hear, one message at a time, until ctx ends or the
// client is closed. While Redis is gone nothing is heard; the client connects again by itself.
func (c *Channel) Listen(ctx context.Context, hear func(message []byte)) {
	subscription := c.client.Subscribe(ctx, c.name)
	defer func() { _ = subscription.Close() }() // nobody is left to be told
	messages := subscription.Channel()
	for {
		select {
		case m, open := <-messages:
			if !open {
				return
			}
			hear([]byte(m.Payload))
		case <-ctx.Done():
			return
		}
	}
}
