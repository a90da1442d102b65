package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/stream/terminal"
)

// served is how long the token for one's own streams is good.
const served = 24 * time.Hour

// serve stays up until it is interrupted, and shows what becomes of each conversation.
func serve(ctx context.Context, system *stack.Stack, uid string, out *terminal.Terminal) error {
	if err := invite(ctx, system, uid, out); err != nil {
		return err
	}
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
		if err := finished(ctx, system, uid, webhook, out); err != nil {
			out.Failed("%v", err)
		}
	}
}

// invite says how to speak to the system. Its commands can be copied as they are, from wherever one is.
func invite(ctx context.Context, system *stack.Stack, uid string, out *terminal.Terminal) error {
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
	root, err := stack.Root(ctx)
	if err != nil {
		return err
	}
	clips, _, err := librivox()
	if err != nil {
		return err
	}
	out.Title("In another terminal")
	out.Printf("\ncd %s\nexport EARSHOT_TOKEN=%s\n", quote(root), token)
	out.Title("Stream a file, WAV or Ogg Opus")
	out.Printf("\ngo run ./scripts/stream --url=%s --end %s\n", url, clips[0])
	out.Title("Or a microphone; ctrl-C is the end of it")
	out.Printf("\narecord -q -f S16_LE -r 16000 -c 1 | go run ./scripts/stream --url=%s --end -\n", url)
	out.Title("And read what there is; the API is described at " + api + "/openapi.json")
	out.Printf("\ncurl -sH \"Authorization: Bearer $EARSHOT_TOKEN\" %s/v1/conversations\n", api)
	out.Title("Look at what no function could take, or recompute a month of usage; see --help")
	out.Printf("\nexport PROJECT_ID=%s PUBSUB_EMULATOR_HOST=%s FIRESTORE_EMULATOR_HOST=%s\n", system.Project, system.PubSubAddr, system.FirestoreAddr)
	out.Printf("go run ./scripts/deadletter list\ngo run ./scripts/reconcile --uid=%s --month=%s\n", uid, time.Now().UTC().Format("2006-01"))
	out.Printf("\n%s\n", out.Dim("The recogniser understands English, and not all of it. What is finished is shown here. Ctrl-C ends everything."))
	return nil
}

// quote makes one word of text for a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// countedWithin is how long the usage of a finished conversation may be on its way.
const countedWithin = 10 * time.Second

// finished shows what became of the conversation that a webhook tells of.
func finished(ctx context.Context, system *stack.Stack, uid string, webhook stack.Received, out *terminal.Terminal) error {
	told, err := decode(webhook)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, countedWithin)
	defer cancel()
	r := &result{id: told.ID}
	if err := r.await(ctx, system, uid); err != nil {
		return err
	}
	r.webhooks, r.periods = []stack.Received{webhook}, r.periodsOf(told.ID)
	r.show(out)
	if missing := r.missing(); len(missing) > 0 {
		return errors.New(strings.Join(missing, "; "))
	}
	return nil
}
