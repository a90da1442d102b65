package deepgram

import (
	"testing"

	"github.com/coder/websocket"
)

func FuzzOrder(f *testing.F) {
	f.Add(true, []byte(`{"type":"KeepAlive"}`))
	f.Add(true, []byte(`{"type":"Finalize","channel":0}`))
	f.Add(true, []byte(`{"type":"CloseStream"}`))
	f.Add(true, []byte(`{"type":1}`))
	f.Add(false, []byte{1, 2, 3})
	f.Add(false, []byte{})
	f.Fuzz(func(t *testing.T, text bool, data []byte) {
		kind := websocket.MessageBinary
		if text {
			kind = websocket.MessageText
		}
		c := &connection{}
		samples := 0
		for range 2 {
			next, ok := c.order(kind, data)
			if next != nil && !ok {
				t.Errorf("an order, %+v, in what isn't understood", next)
			}
			if next != nil {
				samples += len(next.pcm)
			}
		}
		if want := len(data); !text && samples != want { // twice the bytes, two bytes a sample
			t.Errorf("%d samples from twice %d bytes, want %d", samples, len(data), want)
		}
	})
}
