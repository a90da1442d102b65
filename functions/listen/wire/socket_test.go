package wire

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"earshot.dev/shared/pipetest"
)

// A client that doesn't answer the goodbye, or doesn't even take it, is waited for until the socket hangs up, and whoever
// reads from it is told.
func TestHangUp(t *testing.T) {
	for name, takes := range map[string]bool{"no answer": true, "not taken": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, unread := make(chan time.Duration, 1), make(chan error, 1)
				client := pipetest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
					socket, err := Accept(w, r, 1<<10)
					if err != nil {
						t.Error(err)
						return
					}
					go func() {
						_, _, err := socket.Read()
						unread <- err
					}()
					began := time.Now()
					time.AfterFunc(time.Second, socket.HangUp)
					socket.Close(CloseNormal, "goodbye")
					took <- time.Since(began)
				})
				stream := upgrade(t, client)
				if takes {
					go func() { _, _ = io.Copy(io.Discard, stream) }() // until the server closes it
				}
				if d := <-took; d != time.Second {
					t.Errorf("Close took %v, want the second until HangUp", d)
				}
				if closed, ok := errors.AsType[*CloseError](<-unread); !ok || closed.Code != CloseAbnormal {
					t.Errorf("Read gave %v, want an abnormal close", closed)
				}
			})
		})
	}
}

// upgrade opens a WebSocket and gives the stream below it.
func upgrade(t *testing.T, client *http.Client) io.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		r.Header.Set(name, value)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() }) // the server has closed it
	return response.Body
}
