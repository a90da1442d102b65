package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/sync/errgroup"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
	"earshot.dev/scripts/stream/terminal"
)

// demonstrate speaks, waits for what becomes of it, and shows it.
func demonstrate(interrupted context.Context, o options, system *stack.Stack, uid string, out *terminal.Terminal) error {
	clips, text, err := librivox()
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeoutCause(interrupted, o.Timeout, fmt.Errorf("the time limit of %v is over", o.Timeout))
	defer stop()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	go func() {
		select {
		case err := <-system.Unexpected():
			fail(err)
		case <-ctx.Done():
		}
	}()
	began := time.Now()
	out.Title("Speech, as it is recognised")
	t, err := dial(ctx, system, uid, out)
	if err != nil {
		return err
	}
	result, err := t.hold(ctx, system, uid, clips)
	switch {
	case interrupted.Err() != nil:
		return err
	case err != nil: // what came until then tells where it stopped
		result.leave(interrupted, system, uid)
	}
	compare(out, text, t.speech.Transcript.Text())
	result.show(out)
	if err != nil {
		return fmt.Errorf("hold a conversation: %w", err)
	}
	wrong := result.wrong(t)
	out.Printf("\n")
	for _, w := range wrong {
		out.Failed("%s", w)
	}
	if len(wrong) > 0 {
		return cmp.Or(context.Cause(ctx), errors.New("it doesn't add up"))
	}
	out.Done("all of it is there and adds up, %.1f s after the first word", time.Since(began).Seconds())
	return nil
}

// talk is a conversation from the client's side.
type talk struct {
	client *client.Client
	audio  time.Duration // that was sent

	// The receiving goroutine's, until it has returned.
	speech       *terminal.Speech
	conversation string // id
}

func dial(ctx context.Context, system *stack.Stack, uid string, out *terminal.Terminal) (*talk, error) {
	url, err := system.ListenURL()
	if err != nil {
		return nil, err
	}
	token, err := system.UserToken(uid, time.Hour)
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(ctx, client.Config{
		URL: url, Token: client.FixedToken(token), Codec: source.OpusFS320, SampleRate: 16000, Language: "en", Interim: true,
	})
	return &talk{client: c, speech: out.Speech()}, err
}

// hold streams clips, one after the other, as one stream of Opus packets, ends the conversation, and waits for what
// becomes of it, at most until ctx ends: what has come until then is the result. The client stays connected, because
// the last words come after the end.
func (t *talk) hold(ctx context.Context, system *stack.Stack, uid string, clips []string) (*result, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.receive(ctx) })
	r := &result{}
	group.Go(func() error {
		defer t.client.Cut()
		if err := t.client.Stream(ctx, t.measured(packets(ctx, clips)), true); err != nil {
			return err
		}
		if err := t.client.Stop(ctx); err != nil {
			return err
		}
		if err := r.await(ctx, system, uid); err != nil || ctx.Err() != nil {
			return err
		}
		return t.client.Close()
	})
	return r, group.Wait()
}

// receive shows what the client is told until the connection ends.
func (t *talk) receive(ctx context.Context) error {
	for {
		m, err := t.client.Receive(ctx)
		closed, ok := errors.AsType[*client.CloseError](err)
		switch {
		case ctx.Err() != nil, ok && closed.Code == closeNormal:
			return nil //nolint:nilerr // it is the end that was wanted, or the other goroutine tells
		case err != nil:
			return err
		}
		t.speech.Take(m)
		if m.Type == client.ConversationSession {
			t.conversation = m.ConversationID
		}
	}
}

// closeNormal is the code of the answer to the client's own goodbye.
const closeNormal = 1000

// packets are those of all clips, in order.
func packets(ctx context.Context, clips []string) iter.Seq2[source.Packet, error] {
	return func(yield func(source.Packet, error) bool) {
		for _, clip := range clips {
			if !play(ctx, clip, yield) {
				return
			}
		}
	}
}

// play gives the packets of one clip. It reports whether more are wanted.
func play(ctx context.Context, clip string, yield func(source.Packet, error) bool) bool {
	audio, err := source.Open(ctx, clip, source.Wish{Codec: source.OpusFS320})
	if err != nil {
		yield(source.Packet{}, err)
		return false
	}
	defer audio.Close()
	for p, err := range audio.Packets {
		if !yield(p, err) || err != nil {
			return false
		}
	}
	return true
}

// measured adds up how much time the packets hold that were taken.
func (t *talk) measured(packets iter.Seq2[source.Packet, error]) iter.Seq2[source.Packet, error] {
	return func(yield func(source.Packet, error) bool) {
		for p, err := range packets {
			t.audio += p.Duration
			if !yield(p, err) {
				return
			}
		}
	}
}
