package main

import (
	"net/url"
	"slices"
	"testing"

	"earshot.dev/functions/listen/wire"
)

// Numbered frames hold whole samples, others go on where the one before was cut.
func TestOddFrames(t *testing.T) {
	for query, want := range map[string][]int16{
		"codec=pcm16&sample_rate=16000":       {0x0201, 0x0503},
		"codec=pcm16&sample_rate=16000&ack=1": {0x0201, 0x0605},
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		decoders, err := openDecoders(wire.ParseQuery(values, 0))
		if err != nil {
			t.Fatal(err)
		}
		var got []int16
		for _, frame := range [][]byte{{1, 2, 3}, {5, 6}} {
			if got, err = decoders[0].Decode(got, frame); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", query, got, want)
		}
	}
}
