package stack

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"time"
)

// define makes the functions of the binaries in a folder, each with its environment.
func (s *Stack) define(binaries string) error {
	recognizer, err := s.outsideFor("listen", Recognizer)
	if err != nil {
		return err
	}
	receiver, err := s.outsideFor("integrations", WebhookReceiver)
	if err != nil {
		return err
	}
	s.webhookURL = "http://" + receiver + webhookPath
	var errs []error
	function := func(name string, env ...string) *Function {
		servers, err := s.servers(name)
		errs = append(errs, err)
		return &Function{
			Name: name, binary: filepath.Join(binaries, name), logs: s.logs, unexpected: s.unexpected,
			env: slices.Concat(s.environment(), servers, env, s.options.Env[name]),
		}
	}
	keys := func(function, path string) string {
		address, err := s.outsideFor(function, Keys)
		errs = append(errs, err)
		return "http://" + address + path
	}
	users := func(function string) []string {
		return []string{
			"TOKEN_ISSUER=" + s.Users.name, "TOKEN_AUDIENCE=" + userAudience, "TOKEN_KEYS_URL=" + keys(function, userKeysPath),
		}
	}
	pushed := func(function string) []string {
		return []string{
			"PUSH_ISSUER=" + s.Services.name, "PUSH_KEYS_URL=" + keys(function, serviceKeysPath),
			"PUSH_AUDIENCE=" + audience(function), "PUSH_ACCOUNT=" + serviceAccount,
		}
	}
	s.Conversations = function("conversations", users("conversations")...)
	s.Listen = function("listen", append(users("listen"),
		"DEEPGRAM_URL=ws://"+recognizer+recognizerPath, "DEEPGRAM_API_KEY="+RecognizerKey)...)
	s.Finalize = function("finalize", pushed("finalize")...)
	s.Usage = function("usage", pushed("usage")...)
	s.Integrations = function("integrations", append(pushed("integrations"), "WEBHOOK_ALLOW_PRIVATE=true")...)
	s.Sweeper = function("sweep", pushed("sweep")...)
	return errors.Join(errs...)
}

// audience is the aud of the tokens that a function takes. In the cloud it is the service's address.
func audience(function string) string { return "https://" + function + ".local" }

// deliver runs what the cloud does by itself: Pub/Sub's pushes and the scheduler.
func (s *Stack) deliver() {
	ctx, cancel := context.WithCancel(context.Background())
	s.delivering = cancel
	s.deadLetter = s.backends.pubsub.Publisher(topicName(s.Project, deadLetterTopic))
	functions := map[string]*Function{"finalize": s.Finalize, "usage": s.Usage, "integrations": s.Integrations}
	for _, subscription := range subscriptions {
		name, function := subscriptionOf(subscription.eventType, subscription.function), functions[subscription.function]
		push := &Push{
			Subscription: subscriptionName(s.Project, name), Endpoint: s.called(function),
			Token:      func() (string, error) { return s.serviceToken(function) },
			DeadLetter: s.deadLetter, Retry: s.options.Retry, Client: s.client,
		}
		s.Pushes[name] = push
		s.running.Go(func() {
			if err := push.Run(ctx, s.backends.pubsub.Subscriber(push.Subscription)); err != nil {
				s.fail(err)
			}
		})
	}
	s.sweepURL = s.called(s.Sweeper)
	s.running.Go(func() { s.schedule(ctx) })
}

// called is where Pub/Sub and the scheduler find a function.
func (s *Stack) called(f *Function) func() (string, error) {
	if s.options.Called == nil {
		return f.URL
	}
	return s.options.Called(f.Name, f.URL)
}

func (s *Stack) serviceToken(f *Function) (string, error) {
	return s.Services.ServiceToken(serviceAccount, audience(f.Name), tokenLifetime)
}

// schedule calls the sweep as Cloud Scheduler does, until ctx ends. A call that fails is not repeated: there is the
// next one.
func (s *Stack) schedule(ctx context.Context) {
	tick := time.NewTicker(s.options.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		status, err := s.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.logs.say("the sweep could not be called: %v", err)
		case status >= http.StatusMultipleChoices:
			s.logs.say("the sweep answered %d", status)
		}
	}
}

// sweepTimeout is how long the scheduler waits for an answer.
const sweepTimeout = time.Minute

// Sweep calls the sweep, as Cloud Scheduler does each minute, and gives the status of the answer.
func (s *Stack) Sweep(ctx context.Context) (status int, err error) {
	url, err := s.sweepURL()
	if err != nil {
		return 0, err
	}
	token, err := s.serviceToken(s.Sweeper)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	return post(ctx, s.client, url, token, nil)
}
