package wire

import (
	"bytes"
	"time"
)

// The limits of images on their way (README.md). An image is stored in a document, which holds 1 MiB.
const (
	maxUnfinished = 50
	unfinishedFor = time.Minute
	MaxImage      = 900_000 // bytes
	maxWaiting    = 4 << 20 // bytes of all that is unfinished
)

// Images puts images together. Parts come in any order, and may repeat.
type Images struct {
	unfinished map[string]*unfinished
	waiting    int // bytes
}

type unfinished struct {
	began time.Time
	parts [][]byte
	left  int
	size  int
}

// Add takes a part in, and gives the image that it completes, if it does. It reports false for a part that is dropped:
// it doesn't fit the others, or there is too much already. The part's data is kept.
func (im *Images) Add(c ImageChunk, now time.Time) (image []byte, ok bool) {
	for id, u := range im.unfinished {
		if now.Sub(u.began) >= unfinishedFor {
			im.drop(id)
		}
	}
	u := im.unfinished[c.ID]
	if u == nil {
		if len(im.unfinished) == maxUnfinished {
			return nil, false
		}
		if im.unfinished == nil {
			im.unfinished = make(map[string]*unfinished)
		}
		u = &unfinished{began: now, parts: make([][]byte, c.Total), left: c.Total}
		im.unfinished[c.ID] = u
	}
	if c.Total != len(u.parts) {
		return nil, false
	}
	if u.parts[c.Index] != nil {
		return nil, true // a repeat
	}
	if u.size+len(c.Data) > MaxImage || im.waiting+len(c.Data) > maxWaiting {
		im.drop(c.ID)
		return nil, false
	}
	u.parts[c.Index] = append([]byte{}, c.Data...)
	u.left--
	u.size += len(c.Data)
	im.waiting += len(c.Data)
	if u.left > 0 {
		return nil, true
	}
	im.drop(c.ID)
	if u.size == 0 {
		return nil, false
	}
	return bytes.Join(u.parts, nil), true
}

func (im *Images) drop(id string) {
	im.waiting -= im.unfinished[id].size
	delete(im.unfinished, id)
}
