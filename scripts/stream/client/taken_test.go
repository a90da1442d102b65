package client_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/functions/listen/session"
	"earshot.dev/scripts/stream/client"
)

// Two clients under one name would put each other out for ever. One that was put out twice may have been by connections of
// its own that came late.
func TestSessionEndsWhereAnotherHasItsName(t *testing.T) {
	taken := []any{"ack", session.Superseded}
	later := []any{"ack", 2 * time.Minute, session.Superseded}
	for name, test := range map[string]struct {
		visits      [][]any
		another     bool
		connections int
	}{
		"twice":         {[][]any{taken, taken}, false, 3},
		"often":         {[][]any{taken, taken, taken}, true, 3},
		"before ready":  {[][]any{{session.Superseded}, {session.Superseded}, {session.Superseded}}, true, 3},
		"after a cut":   {[][]any{taken, taken, {"ack"}, taken}, false, 5},
		"after a drain": {[][]any{taken, taken, {"ack", session.Drained}, taken}, false, 5},
		"much later":    {[][]any{taken, taken, later, taken, taken}, true, 5},
		"now and then":  {[][]any{taken, later, later, later}, false, 5},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config, shown := visits(t, test.visits...)
				err := client.NewSession(config, func(client.Message) {}).Run(t.Context())
				if errors.Is(err, client.ErrTaken) != test.another || len(*shown) != test.connections {
					t.Errorf("Run gave %v after %d connections, want %d", err, len(*shown), test.connections)
				}
			})
		})
	}
}

// A number that doesn't fit would be that of a packet long ago, which the server takes for a repeat.
func TestSessionEndsWithItsNumbers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []uint32
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.CloseNow()
			ack := []byte(`{"type":"audio_ack","sequence":4294967293}`)
			if err := conn.Write(r.Context(), websocket.MessageText, ack); err != nil {
				t.Error(err)
			}
			for {
				_, data, err := conn.Read(r.Context())
				if err != nil {
					return // the client has gone
				}
				got = append(got, binary.BigEndian.Uint32(data))
			}
		})
		s := client.NewSession(client.Config{URL: server.URL}, func(client.Message) {})
		for range 3 {
			s.Send([]byte("packet"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Run(ctx); !errors.Is(err, client.ErrNumbersOver) {
			t.Errorf("Run gave %v, want %v", err, client.ErrNumbersOver)
		}
		synctest.Wait() // until the server has read all
		if want := []uint32{math.MaxUint32 - 1, math.MaxUint32}; !slices.Equal(got, want) || s.Unacknowledged() != 3 {
			t.Errorf("sent %d, and %d packets are kept; want %d and 3", got, s.Unacknowledged(), want)
		}
	})
}
