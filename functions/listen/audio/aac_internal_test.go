//go:build aac

package audio

import (
	"os"
	"runtime"
	"testing"
)

// A decoder that was replaced works, and its memory is freed once: a second time would abort the process.
func TestAACStartsAnew(t *testing.T) {
	data, err := os.ReadFile("testdata/mono16.aac")
	if err != nil {
		t.Fatal(err)
	}
	frame, _, err := cutADTS(data)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		a := new(aacSource)
		if err := a.open(); err != nil {
			t.Fatal(err)
		}
		if err := a.startAnew(); err == nil {
			t.Fatal("startAnew: no error")
		}
		if got, err := a.decode(nil, frame); err != nil || len(got) != 1024 {
			t.Fatalf("got %d samples, error %v; want 1024", len(got), err)
		}
	}
	runtime.GC()
	runtime.GC()
}
