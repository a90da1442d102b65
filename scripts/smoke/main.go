// Command smoke tries what was just deployed: it speaks to listen, and succeeds if it is understood, and knocks at
// conversations.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"earshot.dev/scripts/arguments"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
)

const description = `Tries what was deployed. Conversations has to refuse who has no token, and to describe itself; listen
has to ask for an upgrade, and to understand what is said over a real socket at the pace of speech: enough of the words
come back. The token is given, or got: a service account signs that it speaks for the user smoke-test, and Identity
Platform gives an ID token for that. Where tokens are another issuer's and none is given, nothing is said, and that is
told.`

type options struct {
	Listen  string        `required:"" help:"Address of listen, such as https://candidate---listen-x.a.run.app." placeholder:"URL"`
	API     string        `name:"api" help:"Address of conversations; left out if empty." placeholder:"URL"`
	Token   string        `env:"EARSHOT_TOKEN" help:"ID token (${env})." placeholder:"TOKEN"`
	Issuer  string        `help:"Who gives users' tokens, if not Identity Platform of the account's project." placeholder:"URL"`
	Account string        `help:"E-mail address of the service account that signs." placeholder:"ACCOUNT"`
	APIKey  string        `env:"SIGN_IN_API_KEY" help:"Key of Identity Platform's API (${env})." placeholder:"KEY"`
	File    string        `default:"/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0930.wav" help:"What is said; by default a recording that scripts/setup installs."`
	Text    string        `default:"he might even have been made amiable himself" help:"The words of it."`
	Least   float64       `default:"0.5" help:"The share of them that has to come back."`
	Wait    time.Duration `default:"20s" help:"How long they may take, from the last one said."`
}

func main() {
	var o options
	arguments.Parse(&o, "smoke", description)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "smoke:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if err := knock(ctx, o.Listen, o.API); err != nil {
		return err
	}
	if o.Token == "" {
		if strange(o.Issuer, o.Account) {
			fmt.Printf("smoke: SKIPPED: nothing was said, since tokens come from %s, and none was given\n", o.Issuer)
			return nil
		}
		var err error
		if o.Token, err = signIn(ctx, o.Account, o.APIKey); err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
	}
	return converse(ctx, o)
}

// converse says what is in the file, and waits until it was understood.
func converse(ctx context.Context, o options) error {
	audio, err := source.Open(ctx, o.File, source.Wish{})
	if err != nil {
		return err
	}
	defer audio.Close()
	c, err := client.Dial(ctx, client.Config{
		URL: o.Listen + listenPath, Token: client.FixedToken(o.Token), Device: "smoke", Language: "en", Codec: audio.Codec, SampleRate: audio.Rate,
	})
	if err != nil {
		return err
	}
	defer c.Cut()
	start := time.Now()
	heard, err := speak(ctx, c, audio, o)
	if err != nil {
		return err
	}
	fmt.Printf("smoke: understood after %v: %q\n", time.Since(start).Round(time.Millisecond), heard)
	return errors.Join(c.Stop(ctx), c.Close())
}

// speak sends the audio, and returns what came back once that is enough.
func speak(ctx context.Context, c *client.Client, audio *source.Source, o options) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if err := c.Stream(ctx, audio.Packets, true); err != nil {
			cancel(fmt.Errorf("send: %w", err))
			return
		}
		late := time.AfterFunc(o.Wait, func() { cancel(fmt.Errorf("not understood within %v", o.Wait)) })
		context.AfterFunc(ctx, func() { late.Stop() })
	}()
	var words client.Transcript
	for share(words.Text(), o.Text) < o.Least {
		m, err := c.Receive(ctx)
		if cause := context.Cause(ctx); cause != nil {
			return "", fmt.Errorf("%w; so far: %q", cause, words.Text())
		}
		if err != nil {
			return "", err
		}
		words.Apply(m)
	}
	select {
	case <-sent: // nobody writes to the socket any more
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	return words.Text(), nil
}

// share says how much of the words of a text was heard, in any order, from 0 to 1.
func share(heard, text string) float64 {
	left, wanted, found := words(heard), words(text), 0
	for _, w := range wanted {
		if i := slices.Index(left, w); i >= 0 {
			left = slices.Delete(left, i, i+1)
			found++
		}
	}
	return float64(found) / float64(max(len(wanted), 1))
}

var word = regexp.MustCompile(`[a-z']+`)

// words are those of a text, in lower case and without punctuation.
func words(text string) []string {
	return word.FindAllString(strings.ToLower(text), -1)
}
