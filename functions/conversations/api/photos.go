package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
)

// An answer with photos takes up to 20 MiB while they are read, and as much while they are encoded: each is a document of
// 1 MiB at most, and 4 MiB of them are shown. So a process makes few of these at once (infra/conversations.tf gives it 512
// MiB), and others wait. What is sent takes its own length only.
const (
	photoBytes  = 160 << 20 // of all answers with photos together
	bytesAPhoto = 2 << 20   // as it is received, and as it is decoded
	maxPhotos   = 20        // that are shown

	// sendLimit is how long a client may take to read such an answer, of up to 6 MiB.
	sendLimit = 30 * time.Second
)

// room is what an answer takes of photoBytes.
type room struct {
	of    *semaphore.Weighted
	bytes int64
}

// shrink gives back what is more than so many bytes.
func (r *room) shrink(bytes int) {
	if more := r.bytes - int64(bytes); more > 0 {
		r.of.Release(more)
		r.bytes -= more
	}
}

// send writes an answer with photos to a client that has until the limit to read it. One that is slower is cut off.
func (a *API) send(w http.ResponseWriter, body []byte) {
	client := http.NewResponseController(w)
	// A writer that can't have one is none of a connection.
	if err := client.SetWriteDeadline(time.Now().Add(a.sendLimit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}
	_, err := w.Write(body)
	if err == nil {
		err = client.Flush()
	}
	if err == nil {
		_ = client.SetWriteDeadline(time.Time{}) // the next request on the connection has its own; else it is gone
	}
}

func bare(wire conversation.Wire) any { return wire }

// whole is the answer with all of a conversation in it, which wrap puts into what the client wants.
func (a *API) whole(ctx context.Context, uid, cid string, wrap func(conversation.Wire) any) (answer, error) {
	c, segments, err := a.Reader.Conversation(ctx, uid, cid)
	if err != nil {
		return answer{}, err
	}
	wire := c.Wire(segments)
	if c.Photos == 0 {
		return answer{body: wrap(wire)}, nil
	}
	// The first photos never change: the conversation and how many are shown name them.
	many := min(c.Photos, maxPhotos)
	reply := answer{body: struct {
		Body   any
		Photos int
	}{wrap(wire), many}}
	reply.photos = func(ctx context.Context) (any, *room, error) {
		taken := &room{a.photos, int64(many) * bytesAPhoto}
		if err := a.photos.Acquire(ctx, taken.bytes); err != nil {
			return nil, nil, fault.New(fault.Busy, "wait for room for photos", err)
		}
		// A load goes on without a client that leaves, so its room is taken until it is over. It has a limit of its own.
		photos, err := a.Reader.Photos(context.WithoutCancel(ctx), uid, &c)
		if err != nil {
			taken.shrink(0)
			return nil, nil, err
		}
		whole := wire // which the reply keeps, without photos
		for _, p := range photos {
			whole.Photos = append(whole.Photos, p.Wire())
		}
		return wrap(whole), taken, nil
	}
	return reply, nil
}
