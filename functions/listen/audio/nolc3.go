//go:build !lc3

package audio

import "fmt"

func newLC3Source() (source, error) {
	return nil, fmt.Errorf("%w: this build has no lc3 decoder", ErrUnsupported)
}
