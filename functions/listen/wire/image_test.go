package wire

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

var began = time.Unix(1_000_000, 0)

func TestImages(t *testing.T) {
	var im Images
	part := func(id string, index, total int, data string) (string, bool) {
		image, ok := im.Add(ImageChunk{id, index, total, []byte(data)}, began)
		return string(image), ok
	}
	for i, step := range []struct {
		id           string
		index, total int
		data, want   string
		ok           bool
	}{
		{"a", 2, 3, "!", "", true},
		{"b", 0, 1, "whole", "whole", true},
		{"a", 0, 3, "good", "", true},
		{"a", 0, 3, "again", "", true}, // a repeat
		{"a", 1, 4, "-", "", false},    // another total
		{"a", 1, 3, "bye", "goodbye!", true},
		{"a", 1, 3, "bye", "", true}, // the first of another
		{"c", 0, 1, "", "", false},   // nothing
	} {
		if got, ok := part(step.id, step.index, step.total, step.data); got != step.want || ok != step.ok {
			t.Errorf("step %d: got %q, %v; want %q, %v", i, got, ok, step.want, step.ok)
		}
	}
}

func TestImagesAreBounded(t *testing.T) {
	var im Images
	add := func(at time.Duration, id string, index int, data []byte) bool {
		_, ok := im.Add(ImageChunk{id, index, 256, data}, began.Add(at))
		return ok
	}
	for i := range maxUnfinished {
		if !add(0, fmt.Sprint(i), 0, []byte("x")) {
			t.Fatalf("image %d was dropped, want %d at a time", i, maxUnfinished)
		}
	}
	if add(59*time.Second, "more", 0, []byte("x")) {
		t.Errorf("the %dst unfinished image was taken", maxUnfinished+1)
	}
	if !add(59*time.Second, "7", 1, []byte("x")) {
		t.Error("a part of an image that began 59 s ago was dropped")
	}
	if !add(time.Minute, "more", 0, []byte("x")) || len(im.unfinished) != 1 || im.waiting != 1 {
		t.Errorf("after 60 s %d images of %d bytes are left, want the one that came", len(im.unfinished), im.waiting)
	}
	large := bytes.Repeat([]byte("x"), MaxImage)
	if add(time.Minute, "more", 1, large) || im.waiting != 0 {
		t.Errorf("an image of over %d bytes was taken; %d bytes wait", MaxImage, im.waiting)
	}
	taken := 0
	for i := range maxUnfinished {
		if add(time.Minute, fmt.Sprint("large", i), 0, large) {
			taken += len(large)
		}
	}
	if taken > maxWaiting || taken < maxWaiting-MaxImage || im.waiting != taken {
		t.Errorf("%d bytes wait, %d were taken; want %d at most", im.waiting, taken, maxWaiting)
	}
}
