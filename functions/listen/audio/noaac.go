//go:build !aac

package audio

import "fmt"

func newAACSource() (source, error) {
	return nil, fmt.Errorf("%w: this build has no aac decoder", ErrUnsupported)
}
