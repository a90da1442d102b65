package main

import (
	"context"
	"errors"
	"time"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/stream/terminal"
)

// served is how long the token for one's own streams is good.
const served = 24 * time.Hour

// serve stays up until it is interrupted, and shows each webhook.
func serve(ctx context.Context, system *stack.Stack, uid string, out *terminal.Terminal) error {
	url, err := system.ListenURL()
	if err != nil {
		return err
	}
	api, err := system.Conversations.URL()
	if err != nil {
		return err
	}
	token, err := system.UserToken(uid, served)
	if err != nil {
		return err
	}
	out.Title("Stream a file of yours, WAV or Ogg Opus, from another terminal")
	out.Printf("\nexport EARSHOT_TOKEN=%s\n\ngo run ./scripts/stream --url=%s --end FILE\n", token, url)
	out.Title("Or a microphone")
	out.Printf("\narecord -q -f S16_LE -r 16000 -c 1 | go run ./scripts/stream --url=%s --end -\n", url)
	out.Title("And read what there is; the API is described at " + api + "/openapi.json")
	out.Printf("\ncurl -sH \"Authorization: Bearer $EARSHOT_TOKEN\" %s/v1/conversations\n", api)
	out.Printf("\n%s\n", out.Dim("The recogniser understands English, and not all of it. Ctrl-C ends everything."))

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-system.Unexpected():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	for n := 0; ; n++ {
		webhook, err := system.Webhooks.Next(ctx, n)
		if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		told, err := decode(webhook)
		if err != nil {
			out.Failed("%v", err)
			continue
		}
		out.Title("Conversation " + told.ID)
		showStructured(out, told.Structured)
	}
}
