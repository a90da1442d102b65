package server

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"earshot.dev/shared/fault"
	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// HTTPFunction registers fn with the functions framework and gives the framework's handler for it.
//
// The framework ends each request with an empty line on stdout and one on stderr where K_SERVICE is set: K_SERVICE
// is taken out of the environment. So read the configuration first.
func HTTPFunction(ctx context.Context, fn http.HandlerFunc) (http.Handler, error) {
	if err := os.Unsetenv("K_SERVICE"); err != nil {
		return nil, fault.New(fault.Internal, "register function", err)
	}
	token, found := rand.Text(), make(chan *http.Server, 1)
	inside := recovered(fn) // the framework would print the panic as text
	register := func() error {
		return funcframework.RegisterHTTPFunctionContext(ctx, "/", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Ce-Id") == token {
				tell(r.Context(), found)
				return
			}
			inside.ServeHTTP(w, r)
		})
	}
	return capture(ctx, register, token, found, freePort)
}

// CloudEvents registers fn with the functions framework and gives the framework's handler for it. The handler takes
// CloudEvents by POST in the binary or the structured mode, and nothing else: what the framework can't convert it
// prints, payload and all.
//
// Whatever fn returns is printed as text too, and a panic with it, so fn had better do neither. Nor is the context of
// fn to be relied on: the framework may hand over that of another request (two at once take each other's event), and
// a request that ends before its event is taken would leave each later one waiting for the next. For that last reason
// the framework is not told of the end of a request.
func CloudEvents(ctx context.Context, fn func(context.Context, cloudevents.Event) error) (http.Handler, error) {
	token, found := rand.Text(), make(chan *http.Server, 1)
	register := func() error {
		return funcframework.RegisterCloudEventFunctionContext(ctx, "/", func(ctx context.Context, e cloudevents.Event) error {
			if e.ID() == token {
				tell(ctx, found)
				return nil
			}
			return fn(ctx, e)
		})
	}
	framework, err := capture(ctx, register, token, found, freePort)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		structured := strings.HasPrefix(r.Header.Get("Content-Type"), cloudevents.ApplicationCloudEventsJSON)
		switch {
		case r.Method != http.MethodPost:
			http.Error(w, "POST a CloudEvent", http.StatusMethodNotAllowed)
		case r.Header.Get("Ce-Id") == "" && !structured:
			http.Error(w, "not a CloudEvent", http.StatusUnsupportedMediaType)
		default:
			framework.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
		}
	}), nil
}

// tell hands over the server that serves the request of ctx.
func tell(ctx context.Context, found chan<- *http.Server) {
	if srv, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok {
		select {
		case found <- srv:
		default: // told already
		}
	}
}

// target is what FUNCTION_TARGET is set to. No function has that name, so the framework serves the one that was
// registered last, at every path, and doesn't announce it on stdout, as it does where the variable is not set.
const target = "-"

// registering is held while a function is: the framework has one registry for the whole process, and where several
// functions live in one process, each is the last registered when it is asked for.
var registering sync.Mutex

// capture registers a function and gets hold of the framework's handler for it. The framework has no call for that:
// it only listens and serves by itself, without an end. So it does, on a port of the loopback interface, for one
// request that carries the token: the function it reaches tells of the server that serves it, whose handler that is,
// and which is closed again. A port that somebody else takes in the meantime is no harm: the next one is tried.
func capture(
	ctx context.Context, register func() error, token string, found <-chan *http.Server,
	pick func(context.Context) (port string, err error),
) (http.Handler, error) {
	const op = "register function"
	registering.Lock()
	defer registering.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Unavailable, op, err)
	}
	// From here on to its end, which is near: the framework's listener can only be closed once it has been reached.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := register(); err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	if err := os.Setenv("FUNCTION_TARGET", target); err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	for {
		port, err := pick(ctx)
		if err != nil {
			return nil, fault.New(fault.Unavailable, op, err)
		}
		stopped := make(chan error, 1)
		go func() { stopped <- funcframework.StartHostPort("127.0.0.1", port) }()
		srv, err := reach(ctx, "http://127.0.0.1:"+port, token, found, stopped)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fault.New(fault.Unavailable, op, err)
		}
		if err := srv.Close(); err != nil {
			return nil, fault.New(fault.Unavailable, op, err)
		}
		<-stopped // http.ErrServerClosed
		return srv.Handler, nil
	}
}

// reach asks until the function is reached or the framework has stopped, and returns why it did.
func reach(ctx context.Context, url, token string, found <-chan *http.Server, stopped <-chan error) (*http.Server, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	retry := time.NewTicker(2 * time.Millisecond)
	defer retry.Stop()
	for {
		ask(ctx, &client, url, token)
		select {
		case srv := <-found:
			return srv, nil
		case err := <-stopped:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-retry.C:
		}
	}
}

// ask sends an event with the token for its id. Whether it arrives, the function tells.
func ask(ctx context.Context, client *http.Client, url, token string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return // nothing arrives
	}
	for name, value := range map[string]string{"Id": token, "Type": "ask", "Source": "/", "Specversion": "1.0"} {
		r.Header.Set("Ce-"+name, value)
	}
	if response, err := client.Do(r); err == nil {
		response.Body.Close()
	}
}

func freePort(ctx context.Context) (string, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return strconv.Itoa(port), listener.Close()
}
