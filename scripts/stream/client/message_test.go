package client

import "testing"

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"type":"interim","text":"a"}`))
	f.Add([]byte(`[{"id":"a","start":1e300}]`))
	f.Add([]byte(`[`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data)
		if err != nil && m.Type != "" {
			t.Errorf("a message %q beside the error %v", m.Type, err)
		}
	})
}
