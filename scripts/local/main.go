// Command local runs the whole system on this machine, speaks to it, and shows what becomes of what was said.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"

	"earshot.dev/scripts/arguments"
	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/sphinx"
	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/stream/terminal"
)

const description = `Runs the whole system on this machine and speaks to it.

Five clips of an audio book are streamed as a device would, in real time. Then the finished conversation, the usage
counters and the webhook are shown as they were stored and received. The exit code is 0 only if all of it is there
and adds up.`

type options struct {
	Serve   bool          `help:"Stay up, and say how to stream something else."`
	Port    port          `help:"Port of listen with --serve; 0 is any that is free." default:"8080"`
	Data    string        `help:"A directory to keep the documents in with --serve, from one run to the next." type:"path"`
	Verbose bool          `help:"Show the logs of the functions, which are otherwise kept in a file."`
	Timeout time.Duration `help:"How long it may take from the first word said until all is there." default:"2m"`
}

// Validate is called when the arguments have been read.
func (o options) Validate() error {
	if o.Data != "" && !o.Serve {
		return errors.New("--data goes with --serve: the demonstration wants to begin with nothing")
	}
	return nil
}

// port is one of TCP's; 0 is any that is free.
type port uint16

// UnmarshalText reads an argument.
func (p *port) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return fmt.Errorf("%q is no port; want a number from 0 to 65535", text)
	}
	*p = port(n)
	return nil
}

// free says whether the port can be listened on.
func (p port) free(ctx context.Context) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", fmt.Sprintf(":%d", p))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is in use; choose another with --port", p)
	case err != nil:
		return fmt.Errorf("port %d can't be had; choose another with --port: %w", p, err)
	default:
		return l.Close()
	}
}

// keptUser is who speaks where documents are kept: each run has the conversations of those before.
const keptUser = "user-local"

func main() {
	var o options
	arguments.Parse(&o, "run", description)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second ctrl-C ends it at once, and the functions with it
	out := terminal.New(os.Stdout)
	if o.Verbose {
		out = terminal.Plain(os.Stdout) // logs in between would spoil what is written in place
	}
	err := run(ctx, o, out)
	switch {
	case ctx.Err() != nil:
		out.Printf("stopped\n")
	case err != nil:
		out.Failed("%v", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out *terminal.Terminal) (err error) {
	if o.Serve {
		if err := o.Port.free(ctx); err != nil {
			return err
		}
	}
	logs, err := openLogs(o.Verbose)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logs.close(err != nil && ctx.Err() == nil)) }()

	out.Begin("building and starting the functions; a minute or two the first time")
	began := time.Now()
	engine, err := sphinx.New("", runtime.NumCPU())
	if err != nil {
		return err
	}
	defer engine.Close()
	options := stack.Options{
		Recognizer: &deepgram.Handler{Key: stack.RecognizerKey, Engine: engine}, Logs: logs,
		Env: map[string][]string{"listen": {"DEEPGRAM_LANGUAGES=en"}}, // PocketSphinx's model is English
	}
	if o.Serve {
		options.ListenPort, options.Data = int(o.Port), o.Data
	}
	system, err := stack.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() {
		out.Begin("stopping")
		err = errors.Join(err, system.Close())
		out.Clear()
	}()
	uid := "user-" + uuid.NewString()[:8]
	if o.Data != "" {
		uid = keptUser
	}
	if err := system.AddUser(ctx, uid); err != nil {
		return err
	}
	out.Done("the system is up, after %.1f s", time.Since(began).Seconds())
	if o.Serve {
		return serve(ctx, system, uid, out)
	}
	return demonstrate(ctx, o, system, uid, out)
}

// logs are what the functions say: on standard error, or in a file that is kept if something fails.
type logs struct {
	io.Writer
	file *os.File // nil: there is none
}

func openLogs(verbose bool) (*logs, error) {
	if verbose {
		return &logs{Writer: os.Stderr}, nil
	}
	file, err := os.CreateTemp("", "earshot-*.log")
	if err != nil {
		return nil, fmt.Errorf("keep logs: %w", err)
	}
	return &logs{file, file}, nil
}

// close keeps the file if something failed that they may explain; the error then says where.
func (l *logs) close(failed bool) error {
	if l.file == nil {
		return nil
	}
	info, err := l.file.Stat()
	if failed && err == nil && info.Size() > 0 {
		return errors.Join(fmt.Errorf("the logs of the functions are in %s", l.file.Name()), l.file.Close())
	}
	return errors.Join(err, l.file.Close(), os.Remove(l.file.Name()))
}
