package client_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"earshot.dev/scripts/stream/client"
)

const (
	stop  = `{"type":"finalization_reason","reason":"user_stop"}`
	named = `{"type":"speaker_assigned","speaker_id":1,"person_id":"p"}`
)

// What is said comes after the audio that was sent before it, whenever that goes out. An end comes again with the audio before
// it, and what ends nothing doesn't.
func TestTextsKeepTheirPlace(t *testing.T) {
	all := []string{"a", named, "b", stop, "c"}
	for name, tt := range map[string]struct {
		says   []string
		visits []visit // the last goes on
		want   []string
	}{
		"at once":             {all, []visit{{}}, all},
		"held":                {all, []visit{{hold: true, resume: true}}, slices.Insert(slices.Clone(all), 0, "resume")},
		"held, then cut":      {all, []visit{{hold: true}, {}}, slices.Insert(slices.Clone(all), 0, "cut")},
		"cut":                 {all, []visit{{cut: 4}, {}}, append(slices.Clone(all[:4]), "cut", "a", "b", stop, "c")},
		"held, nothing ahead": {[]string{named, "a"}, []visit{{hold: true, resume: true}}, []string{named, "resume", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				got, last := make(chan string, 100), tt.says[len(tt.says)-1]
				visits := tt.visits
				server := serve(t, func(w http.ResponseWriter, r *http.Request) {
					v := visits[0]
					visits = visits[1:]
					if err := v.serve(w, r, last, got); err != nil {
						t.Error(err)
					}
				})
				s := client.NewSession(client.Config{URL: server.URL}, func(client.Message) {})
				for _, what := range tt.says {
					if strings.HasPrefix(what, "{") {
						s.Say(what)
					} else {
						s.Send([]byte(what))
					}
				}
				run(t, s)(time.Minute)
				close(got)
				if all := slices.Collect(each(got)); !slices.Equal(all, tt.want) {
					t.Errorf("got\n%q, want\n%q", all, tt.want)
				}
			})
		})
	}
}

func each(c <-chan string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for s := range c {
			if !yield(s) {
				return
			}
		}
	}
}

// visit is a connection to a server that knows nothing of the device.
type visit struct {
	cut          int  // after so many frames
	hold, resume bool // the client is to hold for 5 s, and then is cut, or may resume
	conversation string
	acknowledged int // what it knows at first
}

// serve says what it gets, in order, and acknowledges all once it gets the last packet.
func (v visit) serve(w http.ResponseWriter, r *http.Request, last string, got chan<- string) error {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	say := func(text string) error { return conn.Write(r.Context(), websocket.MessageText, []byte(text)) }
	err = say(fmt.Sprintf(`{"type":"conversation_session","conversation_id":%q,"status":"in_progress"}`, cmp.Or(v.conversation, "c1")))
	if v.hold {
		err = errors.Join(err, say(`{"type":"backpressure","state":"slow"}`))
		held := time.AfterFunc(5*time.Second, func() {
			if !v.resume {
				got <- "cut"
				_ = conn.CloseNow() // it is open
				return
			}
			got <- "resume"
			_ = say(`{"type":"backpressure","state":"ok"}`) // or the client goes on holding, and that shows
		})
		defer held.Stop()
	}
	if err = errors.Join(err, say(fmt.Sprintf(`{"type":"audio_ack","sequence":%d}`, v.acknowledged))); err != nil {
		return err
	}
	for frames := 1; ; frames++ {
		kind, data, err := conn.Read(r.Context())
		if err != nil {
			return nil // the client has gone, or was cut
		}
		what := string(data)
		if kind == websocket.MessageBinary {
			what = string(data[4:])
		}
		got <- what
		if frames == v.cut {
			got <- "cut"
			return nil
		}
		if what == last {
			if err := say(fmt.Sprintf(`{"type":"audio_ack","sequence":%d}`, binary.BigEndian.Uint32(data))); err != nil {
				return err
			}
		}
	}
}

// Where there is no room for all the audio, what was said beside it isn't given up with it.
func TestTextsOutliveTheirAudio(t *testing.T) {
	const size, sent, room = 1 << 15, 300, 256 // of 32 KiB; there is room for 8 MiB
	s := client.NewSession(client.Config{}, func(client.Message) {})
	s.Say(named)
	s.End()
	for range sent {
		s.Send(make([]byte, size))
	}
	if s.Dropped() != sent-room || s.Unacknowledged() != room+2 {
		t.Errorf("%d packets are given up and %d are kept, with texts; want %d and %d", s.Dropped(), s.Unacknowledged(), sent-room, room+2)
	}
	for range 100 {
		s.Say(named)
	}
	if s.Unacknowledged() != room+1+64 {
		t.Errorf("%d are kept, want %d packets, the end and 64 texts", s.Unacknowledged(), room)
	}
}

// An end that was sent behind another isn't done with by what comes of that one: it is for the next conversation.
func TestSecondEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		got := make(chan string, 100)
		visits := 0
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			visits++
			v := visit{cut: 4, conversation: "c1"}
			if visits > 1 {
				v = visit{conversation: "c2", acknowledged: 2} // the first end came through, and what was said behind it
			}
			if err := v.serve(w, r, "c", got); err != nil {
				t.Error(err)
			}
		})
		s := client.NewSession(client.Config{URL: server.URL}, func(client.Message) {})
		for _, packet := range []string{"a", "b", "c"} {
			s.Send([]byte(packet))
			s.End()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		running := make(chan error, 1)
		go func() { running <- s.Run(ctx) }()
		<-time.After(30 * time.Second)
		cancel()
		<-running // it was cancelled
		close(got)
		const end = `{"type":"end"}`
		want := []string{"a", end, "b", end, "cut", end, "c", end}
		if all := slices.Collect(each(got)); !slices.Equal(all, want) {
			t.Errorf("got\n%q, want\n%q", all, want)
		}
	})
}
