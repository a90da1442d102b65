// Package stack runs the whole system on this machine, for the local run and for tests: the functions as processes of
// their own, in front of servers of what they stand on in the cloud, with what surrounds them there: Pub/Sub's push,
// Cloud Scheduler, an issuer of tokens, a recogniser and a receiver of webhooks.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"

	"earshot.dev/shared/account"
	"earshot.dev/shared/firestoretest"
	"earshot.dev/shared/redistest"
)

// RecognizerKey is the API key that listen gives to the recogniser.
const RecognizerKey = "local-recogniser"

// The audience of users' tokens, and the account that Pub/Sub and the scheduler call as.
const (
	userAudience   = "earshot-local"
	serviceAccount = "push@earshot-local.iam.gserviceaccount.com"
)

// tokenLifetime is that of service tokens, as in the cloud.
const tokenLifetime = time.Hour

// Options are what can be chosen. Zero fields have defaults.
type Options struct {
	Recognizer http.Handler // answers WS /v1/listen as Deepgram does, to the key RecognizerKey
	Race       bool         // build the functions with the race detector
	Logs       io.Writer    // of all processes; none by default
	LogFormat  string       // console by default, or json
	LogLevel   string       // info by default
	ListenPort int          // any that is free by default
	Data       string       // directory to keep Firestore's documents in; none by default

	Retry      Retry         // of pushes: by default the cloud's, twenty times as fast
	SweepEvery time.Duration // 1 min by default

	Telemetry string // an OTLP receiver over gRPC to send traces and metrics to, all of them; nowhere by default

	Env map[string][]string // further variables of a function, by its name, as NAME=value

	// Through gives the address at which a function finds a server: a test may put something in between. nil: the
	// server's own.
	Through func(function string, server Server, address string) (string, error)
	// Called likewise gives where Pub/Sub and the scheduler find a function, the URL of a process that runs. nil: at
	// its own.
	Called func(function string, url func() (string, error)) func() (string, error)
}

// Stack is the running system.
type Stack struct {
	Project                                        string
	Listen, Finalize, Usage, Integrations, Sweeper *Function
	Conversations                                  *Function
	Users, Services                                *Issuer
	Webhooks                                       *Receiver
	Pushes                                         map[string]*Push // by subscription, {topic}-{function}
	Redis                                          *redistest.Server
	Firestore                                      *firestore.Client
	FirestoreAddr, PubSubAddr                      string
	Documents                                      *firestoretest.Server // nil, where Firestore runs elsewhere

	options    Options
	backends   *backends
	outside    *http.Server
	outsideURL string
	webhookURL string
	client     *http.Client
	logs       *logs
	unexpected chan error
	deadLetter *pubsub.Publisher
	sweepURL   func() (string, error)

	delivering context.CancelFunc
	running    sync.WaitGroup // what delivers and schedules
}

// Start builds and starts everything, and returns when all functions are healthy. The context bounds the start, and
// not what runs: that ends with Close.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	s := &Stack{
		Project: "earshot-local", options: o.withDefaults(), client: newClient(),
		unexpected: make(chan error, 1), delivering: func() {}, Pushes: make(map[string]*Push),
	}
	s.logs = &logs{w: s.options.Logs}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	binaries, err := build(ctx, o.Race)
	if err != nil {
		return nil, err
	}
	if s.backends, err = openBackends(ctx, s.Project, o.Data); err != nil {
		return nil, err
	}
	s.Redis, s.Firestore = s.backends.redis, s.backends.firestore
	s.FirestoreAddr, s.PubSubAddr = s.backends.firestoreAddr, s.backends.pubsubAddr
	s.Documents = s.backends.documents
	if err := s.openOutside(ctx); err != nil {
		return nil, err
	}
	if err := s.define(binaries); err != nil {
		return nil, err
	}
	if err := s.startFunctions(ctx); err != nil {
		return nil, err
	}
	s.deliver()
	return s, nil
}

// newClient is how Pub/Sub and the scheduler call: a redirection is an answer like any other.
func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (o Options) withDefaults() Options {
	if o.Recognizer == nil {
		o.Recognizer = http.NotFoundHandler()
	}
	if o.Logs == nil {
		o.Logs = io.Discard
	}
	if o.LogFormat == "" {
		o.LogFormat = "console"
	}
	if o.LogLevel == "" {
		o.LogLevel = "info"
	}
	if o.Retry == (Retry{}) {
		o.Retry = Retry{CloudRetry.First / 20, CloudRetry.Longest / 20, CloudRetry.Deliveries, CloudRetry.Deadline}
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = time.Minute
	}
	return o
}

// The paths of what the functions find outside of the system.
const (
	userKeysPath    = "/users/keys"
	serviceKeysPath = "/services/keys"
	webhookPath     = "/webhook"
	recognizerPath  = "/v1/listen"
)

// openOutside starts one server for all that the functions find outside of the system.
func (s *Stack) openOutside(ctx context.Context) (err error) {
	if s.Users, err = NewIssuer("https://users.local"); err != nil {
		return err
	}
	if s.Services, err = NewIssuer("https://services.local"); err != nil {
		return err
	}
	if s.Webhooks, err = NewReceiver(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(userKeysPath, s.Users)
	mux.Handle(serviceKeysPath, s.Services)
	mux.Handle(webhookPath, s.Webhooks)
	mux.Handle(recognizerPath, s.options.Recognizer)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.outsideURL = "http://" + listener.Addr().String()
	s.outside = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	s.running.Go(func() {
		if err := s.outside.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("the server of keys, webhooks and words: %w", err))
		}
	})
	return nil
}

// fail tells of what should not have happened, once.
func (s *Stack) fail(err error) {
	s.logs.say("%v", err)
	select {
	case s.unexpected <- err:
	default: // the first is the cause
	}
}

// Unexpected tells, once, of a part that ended by itself.
func (s *Stack) Unexpected() <-chan error { return s.unexpected }

// startFunctions starts one process of each function, all at once.
func (s *Stack) startFunctions(ctx context.Context) error {
	var starting sync.WaitGroup
	functions := []*Function{s.Listen, s.Finalize, s.Usage, s.Integrations, s.Conversations, s.Sweeper}
	errs := make([]error, len(functions))
	for i, f := range functions {
		port := 0
		if f == s.Listen {
			port = s.options.ListenPort
		}
		starting.Go(func() { _, errs[i] = f.Start(ctx, port) })
	}
	starting.Wait()
	return errors.Join(errs...)
}

// ListenURL is where clients connect: ws://host:port/v4/listen, of a process that runs.
func (s *Stack) ListenURL() (string, error) {
	base, err := s.Listen.URL()
	if err != nil {
		return "", err
	}
	return "ws" + base[len("http"):] + "/v4/listen", nil
}

// UserToken is an ID token of a user, good for the lifetime from now on.
func (s *Stack) UserToken(uid string, lifetime time.Duration) (string, error) {
	return s.Users.UserToken(uid, userAudience, lifetime)
}

// AddUser stores a user who speaks English and has the webhook memory_created at the receiver.
func (s *Stack) AddUser(ctx context.Context, uid string) error {
	user := s.Firestore.Collection("users").Doc(uid)
	if _, err := user.Set(ctx, account.Profile{Language: "en", TimeZone: "UTC"}); err != nil {
		return fmt.Errorf("store a user: %w", err)
	}
	return s.AddWebhook(ctx, uid, account.MemoryCreated)
}

// AddWebhook has the receiver told of one type of event more. Sessions that have begun don't know.
func (s *Stack) AddWebhook(ctx context.Context, uid string, t account.WebhookType) error {
	webhook := account.Webhook{URL: s.webhookURL, Secret: s.Webhooks.Secret, Enabled: true}
	hooks := s.Firestore.Collection("users").Doc(uid).Collection("webhooks")
	if _, err := hooks.Doc(string(t)).Set(ctx, webhook); err != nil {
		return fmt.Errorf("store a webhook: %w", err)
	}
	return nil
}

// Close ends everything in order: what people speak to first, what all stand on last. It leaves no process behind.
func (s *Stack) Close() error {
	errs := []error{stop(s.Listen, s.Conversations, s.Sweeper)}
	s.delivering()
	errs = append(errs, stop(s.Finalize, s.Usage, s.Integrations))
	if s.outside != nil {
		errs = append(errs, s.outside.Close())
	}
	s.running.Wait()
	s.client.CloseIdleConnections()
	if s.deadLetter != nil {
		s.deadLetter.Stop()
	}
	if s.backends != nil {
		errs = append(errs, s.backends.Close())
	}
	return errors.Join(errs...)
}

// stop stops functions, those that there are, all at once.
func stop(functions ...*Function) error {
	var stopping sync.WaitGroup
	errs := make([]error, len(functions))
	for i, f := range functions {
		if f != nil {
			stopping.Go(func() { errs[i] = f.Stop() })
		}
	}
	stopping.Wait()
	return errors.Join(errs...)
}

// environment is what all functions are told, beside what this process was started with.
func (s *Stack) environment() []string {
	env := append(os.Environ(),
		"PROJECT_ID="+s.Project,
		"GOOGLE_CLOUD_PROJECT="+s.Project,
		"LOG_FORMAT="+s.options.LogFormat,
		"LOG_LEVEL="+s.options.LogLevel,
	)
	if s.options.Telemetry == "" {
		return env
	}
	return append(env, "OTEL_EXPORTER_OTLP_ENDPOINT="+s.options.Telemetry, "OTEL_TRACES_SAMPLER_ARG=1",
		"OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_METRIC_EXPORT_INTERVAL=500")
}

// Server is what functions stand on, or speak to.
type Server string

// Redis, Firestore and PubSub are what all functions stand on, and Keys whom they know their callers by. Recognizer is
// what listen speaks to, and WebhookReceiver what integrations does.
const (
	Redis           Server = "redis"
	Firestore       Server = "firestore"
	PubSub          Server = "pubsub"
	Keys            Server = "keys"
	Recognizer      Server = "recognizer"
	WebhookReceiver Server = "receiver"
)

// servers tells a function where the servers are.
func (s *Stack) servers(function string) ([]string, error) {
	env := make([]string, 0, 3)
	for _, server := range []struct {
		name              Server
		variable, address string
	}{
		{Redis, "REDIS_URL=redis://", s.Redis.Addr()},
		{Firestore, firestoreEmulator + "=", s.backends.firestoreAddr},
		{PubSub, pubsubEmulator + "=", s.backends.pubsubAddr},
	} {
		address, err := s.through(function, server.name, server.address)
		if err != nil {
			return nil, err
		}
		env = append(env, server.variable+address)
	}
	return env, nil
}

// through is where a function finds a server that has the address.
func (s *Stack) through(function string, server Server, address string) (string, error) {
	if s.options.Through == nil {
		return address, nil
	}
	return s.options.Through(function, server, address)
}

// outsideFor is where a function finds a server that is outside of the system.
func (s *Stack) outsideFor(function string, server Server) (hostPort string, err error) {
	return s.through(function, server, strings.TrimPrefix(s.outsideURL, "http://"))
}
