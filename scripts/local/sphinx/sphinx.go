// Package sphinx is an engine for scripts/local/deepgram that needs no network: PocketSphinx with its US English
// model, as Debian packages them. It is small and honest about it: about a third of the words of an audio book are
// wrong, at a fifth of real time on one core. It needs cgo, and Debian's libpocketsphinx-dev to build.
package sphinx

import (
	"context"
	"fmt"
	"os"
	"strings"

	"earshot.dev/scripts/local/deepgram"
)

// DefaultFolder is where Debian's pocketsphinx-en-us puts the model.
const DefaultFolder = "/usr/share/pocketsphinx/model/en-us"

// rate is what the model was trained on, in Hz.
const rate = 16000

// tuning trades nothing for speed on the five LibriVox clips of Debian's pocketsphinx-testdata (25 s of speech):
// 31 % of the words wrong at 0.20 of real time, against 34 % at 0.32 with the library's defaults. The noise
// reduction, which is off, is made for worse microphones.
var tuning = []string{"-maxhmmpf", "5000", "-maxwpf", "20", "-remove_noise", "no"}

// Engine is a pool of loaded models: one takes about half a second to load and 100 MB. It has no use for vocabulary.
type Engine struct {
	folder string
	idle   chan *model   // loaded, and used by nobody
	room   chan struct{} // how many more may be loaded
}

var _ deepgram.Engine = (*Engine)(nil)

// New loads the first model of the folder, DefaultFolder if empty, so that a missing one is known at once. At most
// limit connections are served at a time; further ones wait.
func New(folder string, limit int) (*Engine, error) {
	if folder == "" {
		folder = DefaultFolder
	}
	if limit < 1 {
		return nil, fmt.Errorf("sphinx: a limit of %d connections", limit)
	}
	if _, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("sphinx: no model (Debian has it as pocketsphinx-en-us): %w", err)
	}
	first, err := load(folder, tuning)
	if err != nil {
		return nil, err
	}
	e := &Engine{folder: folder, idle: make(chan *model, limit), room: make(chan struct{}, limit)}
	e.idle <- first
	for range limit - 1 {
		e.room <- struct{}{}
	}
	return e, nil
}

// Supports reports whether the language is English: the model is US English, the others are near enough for a try.
func (e *Engine) Supports(language string) bool {
	base, _, _ := strings.Cut(strings.ToLower(language), "-")
	return base == "en"
}

// Rate is 16 kHz.
func (e *Engine) Rate() int { return rate }

// Open gives an idle model's decoder, loads one more if there is room, or waits.
func (e *Engine) Open(ctx context.Context) (deepgram.Decoder, error) {
	select { // a loaded one is better than room for another
	case m := <-e.idle:
		return newDecoder(m, e.back), nil
	default:
	}
	select {
	case m := <-e.idle:
		return newDecoder(m, e.back), nil
	case <-e.room:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m, err := load(e.folder, tuning)
	if err != nil {
		e.room <- struct{}{}
		return nil, err
	}
	return newDecoder(m, e.back), nil
}

// back takes a model whose connection has ended, unless it failed.
func (e *Engine) back(m *model, failed bool) {
	if !failed && m.forget() == nil {
		e.idle <- m
		return
	}
	m.free()
	e.room <- struct{}{}
}

// Close frees the models. All decoders must have been closed.
func (e *Engine) Close() {
	for {
		select {
		case m := <-e.idle:
			m.free()
		default:
			return
		}
	}
}
