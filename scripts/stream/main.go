// Command stream sends a recording or a microphone to a listen endpoint and shows the words as they come.
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"earshot.dev/scripts/arguments"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
	"earshot.dev/scripts/stream/terminal"
)

const description = `Sends speech to a listen endpoint and shows the words as they come.

FILE is a WAV file, an Ogg Opus file, or, under a name in .raw or .pcm, raw 16 bit PCM. - is standard input, as of a
microphone:

  arecord -q -f S16_LE -r 16000 -c 1 | go run ./scripts/stream - --url=... --token=...

Ctrl-C is the end of the audio: what was said is still recognised. Ctrl-C again ends at once.`

type options struct {
	File     string        `arg:"" help:"What to send; - for standard input: WAV, Ogg Opus, or raw 16 bit PCM, little endian, mono."`
	URL      string        `required:"" help:"Endpoint, such as ws://127.0.0.1:8080/v4/listen." placeholder:"URL"`
	Token    string        `env:"EARSHOT_TOKEN" help:"ID token (${env})." placeholder:"TOKEN"`
	Language string        `help:"BCP 47 code, or multi; the user's own if not given." placeholder:"CODE"`
	Codec    string        `help:"Send as pcm8, pcm16, opus or opus_fs320 instead of as it is; opus needs opusenc." placeholder:"CODEC"`
	Rate     int           `default:"16000" help:"Sample rate of raw audio, in Hz."`
	Device   string        `help:"Name of the device, to keep it apart from others of the same user." placeholder:"NAME"`
	Realtime bool          `default:"true" negatable:"" help:"Send at the pace at which it was recorded."`
	End      bool          `help:"End the conversation after it; otherwise the next stream may go on with it."`
	Linger   time.Duration `default:"3s" help:"How long to wait for further words at the end."`

	enough <-chan struct{} // closed when no more of the audio is wanted
}

// Validate is called when the arguments have been read.
func (o options) Validate() error {
	endpoint, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return fmt.Errorf("--url: %w", err)
	case !slices.Contains([]string{"ws", "wss", "http", "https"}, endpoint.Scheme) || endpoint.Host == "" || strings.Trim(endpoint.Path, "/") == "":
		return fmt.Errorf("--url is %q; want one such as ws://127.0.0.1:8080/v4/listen", o.URL)
	case strings.TrimSpace(o.Token) == "":
		return errors.New("there is no token: give EARSHOT_TOKEN or --token; scripts/run --serve prints one")
	case !slices.Contains([]string{"", source.PCM8, source.PCM16, source.Opus, source.OpusFS320}, o.Codec):
		return fmt.Errorf("--codec is %q; want pcm8, pcm16, opus or opus_fs320", o.Codec)
	case o.Rate <= 0:
		return fmt.Errorf("--rate is %d; want Hz, over 0", o.Rate)
	default:
		return nil
	}
}

func main() {
	var o options
	arguments.Parse(&o, "stream", description)
	ctx, cut := context.WithCancel(context.Background())
	defer cut()
	enough := make(chan struct{})
	o.enough = enough
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		close(enough)
		<-signals
		cut()
	}()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stream:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out *os.File) error {
	audio, err := source.Open(ctx, o.File, source.Wish{Codec: o.Codec, Rate: o.Rate, Stop: o.enough})
	if err != nil {
		return err
	}
	defer audio.Close()
	err = converse(ctx, client.Config{
		URL: o.URL, Token: client.FixedToken(o.Token), Device: o.Device, Language: o.Language, Interim: true,
		Codec: audio.Codec, SampleRate: audio.Rate,
	}, audio, o, terminal.New(out))
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// answerWithin is how long the end waits for the server to say something while not all is acknowledged. It takes 3 s for
// the last words, and leaves silence unacknowledged for up to a minute.
const answerWithin = 8 * time.Second

// converse sends the audio, shows the words, and ends when no more of either come. It goes on when the connection is
// cut. It doesn't wait for the source, which may be a microphone that is silent.
func converse(ctx context.Context, c client.Config, audio *source.Source, o options, out *terminal.Terminal) error {
	living, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := make(chan client.Message, 16)
	ended, sent := make(chan error, 1), make(chan error, 1)
	safe, gone := make(chan struct{}), make(chan struct{})
	session := client.NewSession(c, func(m client.Message) {
		select {
		case messages <- m:
		case <-living.Done():
		}
	})
	go func() {
		defer close(gone)
		ended <- session.Run(living)
	}()
	go func() { sent <- send(living, session, audio, o) }()

	speech := out.Speech()
	goodbye := func() error {
		err := conclude(session, speech, out)
		cancel()
		select {
		case <-gone:
		case <-ctx.Done():
		}
		return err
	}
	patience := answerWithin
	var silence <-chan time.Time // set once all is taken from the source
	for {
		select {
		case m := <-messages:
			speech.Take(m)
			if silence == nil {
				continue
			}
			if silence = time.After(patience); o.End && m.Type == client.ConversationFinished {
				return goodbye()
			}
		case err := <-sent:
			if err != nil {
				return fmt.Errorf("send: %w", err)
			}
			silence = time.After(patience)
			go func() {
				if session.Acknowledged(living) == nil {
					close(safe)
				}
			}()
		case <-safe:
			safe, patience = nil, o.Linger
			silence = time.After(patience)
		case <-silence:
			return goodbye()
		case err := <-ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// conclude says what there is to say when nothing more comes.
func conclude(session *client.Session, speech *terminal.Speech, out *terminal.Terminal) error {
	if n := session.Unsent(); n > 0 {
		return fmt.Errorf("the connection is cut, and %d packets could not be sent", n)
	}
	if speech.Transcript.Text() == "" {
		out.Printf("no words were recognised\n")
	}
	return nil
}

// lull is the silence that follows what is said last: audio that stops in mid speech might be a network's that has stopped,
// and a server waits for more.
const lull = 1200 * time.Millisecond

// send has the session send the audio.
func send(ctx context.Context, session *client.Session, audio *source.Source, o options) error {
	for _, packets := range []iter.Seq2[source.Packet, error]{audio.Packets, audio.Silence(lull)} {
		if o.Realtime {
			packets = client.Paced(ctx, packets)
		}
		for p, err := range packets {
			if err != nil {
				return err
			}
			session.Send(p.Data)
		}
	}
	if o.End {
		session.End()
	}
	return nil
}
