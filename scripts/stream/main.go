// Command stream sends a recording or a microphone to a listen endpoint and shows the words as they come.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
	"earshot.dev/scripts/stream/terminal"
)

const description = `Sends speech to a listen endpoint and shows the words as they come.

FILE is a WAV file, an Ogg Opus file, or raw 16 bit PCM; - is standard input, as of a microphone:

  arecord -q -f S16_LE -r 16000 -c 1 | go run ./scripts/stream - --url=... --token=...`

type options struct {
	File     string        `arg:"" help:"What to send; - for standard input, raw 16 bit PCM, little endian, mono."`
	URL      string        `required:"" help:"Endpoint, such as ws://127.0.0.1:8080/v4/listen." placeholder:"URL"`
	Token    string        `required:"" env:"EARSHOT_TOKEN" help:"ID token (${env})." placeholder:"TOKEN"`
	Language string        `help:"BCP 47 code, or multi; the user's own if not given." placeholder:"CODE"`
	Codec    string        `enum:",pcm8,pcm16,opus,opus_fs320" default:"" help:"Send as pcm8, pcm16, opus or opus_fs320 instead of as it is; opus needs opusenc." placeholder:"CODEC"`
	Rate     int           `default:"16000" help:"Sample rate of raw audio, in Hz."`
	Device   string        `help:"Name of the device, to keep it apart from others of the same user." placeholder:"NAME"`
	Realtime bool          `default:"true" negatable:"" help:"Send at the pace at which it was recorded."`
	End      bool          `help:"End the conversation after it; otherwise the next stream may go on with it."`
	Linger   time.Duration `default:"3s" help:"How long to wait for further words at the end."`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("stream"), kong.Description(description))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "stream:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	audio, err := source.Open(ctx, o.File, source.Wish{Codec: o.Codec, Rate: o.Rate})
	if err != nil {
		return err
	}
	defer audio.Close()
	return converse(ctx, client.Config{
		URL: o.URL, Token: o.Token, Device: o.Device, Language: o.Language, Interim: true,
		Codec: audio.Codec, SampleRate: audio.Rate,
	}, audio, o)
}

// safeWithin is how long the end waits for the server to say that it has everything.
const safeWithin = 15 * time.Second

// converse sends the audio, shows the words, and ends when no more of either come. It goes on when the connection is
// cut. It doesn't wait for the source, which may be a microphone that is silent.
func converse(ctx context.Context, c client.Config, audio *source.Source, o options) error {
	living, cancel := context.WithCancel(ctx)
	defer cancel()
	messages, ended, sent := make(chan client.Message, 16), make(chan error, 1), make(chan error, 1)
	session := client.NewSession(c, func(m client.Message) {
		select {
		case messages <- m:
		case <-living.Done():
		}
	})
	go func() { ended <- session.Run(living) }()
	go func() { sent <- send(living, session, audio, o) }()

	out := terminal.New(os.Stdout)
	speech := out.Speech()
	var silence <-chan time.Time // set once all is sent
	for {
		select {
		case m := <-messages:
			speech.Take(m)
			if silence != nil {
				silence = time.After(o.Linger)
			}
			if m.Type == client.ConversationFinished {
				return nil
			}
		case err := <-sent:
			if err != nil {
				return fmt.Errorf("send: %w", err)
			}
			silence = time.After(o.Linger)
		case <-silence:
			return nil
		case err := <-ended:
			return err
		case <-ctx.Done():
			return errors.New("interrupted")
		}
	}
}

// send sends the audio and waits until all of it is safe.
func send(ctx context.Context, session *client.Session, audio *source.Source, o options) error {
	packets := audio.Packets
	if o.Realtime {
		packets = client.Paced(ctx, packets)
	}
	for p, err := range packets {
		if err != nil {
			return err
		}
		session.Send(p.Data)
	}
	if o.End {
		session.End()
	}
	ctx, cancel := context.WithTimeout(ctx, safeWithin)
	defer cancel()
	return session.Acknowledged(ctx)
}
