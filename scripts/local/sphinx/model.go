package sphinx

/*
#cgo pkg-config: pocketsphinx sphinxbase
#include <stdlib.h>
#include <pocketsphinx.h>
#include <sphinxbase/cmn.h>
#include <sphinxbase/err.h>

// sphinx_load is one call since the library keeps its log file by thread. There is no log: it would be hundreds of
// lines on standard error, speech among them.
static ps_decoder_t *sphinx_load(int argc, char **argv) {
	err_set_logfp(NULL);
	err_set_callback(NULL, NULL);
	cmd_ln_t *config = cmd_ln_parse_r(NULL, ps_args(), argc, argv, TRUE);
	if (config == NULL)
		return NULL;
	ps_decoder_t *ps = ps_init(config);
	cmd_ln_free_r(config);
	return ps;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"earshot.dev/scripts/local/deepgram"
)

// frame is the unit of PocketSphinx's times: its -frate is 100.
const frame = 10 * time.Millisecond

// model is a loaded PocketSphinx decoder. One goroutine uses it at a time.
type model struct {
	ps   *C.ps_decoder_t
	mean []C.mfcc_t // the cepstral mean that it was loaded with
}

// load reads the model in a folder laid out as Debian's pocketsphinx-en-us. It takes about a second.
func load(folder string, tuning []string) (*model, error) {
	args := append([]string{
		"sphinx",
		"-hmm", filepath.Join(folder, "en-us"),
		"-lm", filepath.Join(folder, "en-us.lm.bin"),
		"-dict", filepath.Join(folder, "cmudict-en-us.dict"),
		"-remove_silence", "no", // it would put the times out
	}, tuning...)
	argv := make([]*C.char, len(args))
	for i, arg := range args {
		argv[i] = C.CString(arg)
		defer C.free(unsafe.Pointer(argv[i]))
	}
	ps := C.sphinx_load(C.int(len(argv)), &argv[0])
	if ps == nil {
		return nil, fmt.Errorf("sphinx: can't load the model in %s", folder)
	}
	m := &model{ps: ps, mean: make([]C.mfcc_t, C.ps_get_feat(ps).cmn_struct.veclen)}
	C.cmn_live_get(C.ps_get_feat(ps).cmn_struct, &m.mean[0])
	return m, nil
}

// forget makes the model what it was when loaded: it adapts to the voice and the noise that it hears.
func (m *model) forget() error {
	C.cmn_live_set(C.ps_get_feat(m.ps).cmn_struct, &m.mean[0])
	if C.ps_start_stream(m.ps) < 0 {
		return errors.New("sphinx: can't start a stream")
	}
	return nil
}

// begin starts an utterance.
func (m *model) begin() error {
	if C.ps_start_utt(m.ps) < 0 {
		return errors.New("sphinx: can't start an utterance")
	}
	return nil
}

// hear takes samples at 16 kHz.
func (m *model) hear(pcm []int16) error {
	if len(pcm) == 0 {
		return nil
	}
	if C.ps_process_raw(m.ps, (*C.int16)(&pcm[0]), C.size_t(len(pcm)), 0, 0) < 0 {
		return errors.New("sphinx: can't decode")
	}
	return nil
}

// end ends the utterance; after it, words are what they stay.
func (m *model) end() error {
	if C.ps_end_utt(m.ps) < 0 {
		return errors.New("sphinx: can't end the utterance")
	}
	return nil
}

// words is what is heard in the utterance, with times from its beginning.
func (m *model) words() []deepgram.Word {
	var words []deepgram.Word
	stream := time.Duration(-1)
	for segment := C.ps_seg_iter(m.ps); segment != nil; segment = C.ps_seg_next(segment) {
		var from, to C.int
		C.ps_seg_frames(segment, &from, &to)
		if stream < 0 {
			stream = time.Duration(from) // frames count from the stream's beginning, the first segment is the utterance's
		}
		text, ok := spoken(C.GoString(C.ps_seg_word(segment)))
		if !ok {
			continue
		}
		words = append(words, deepgram.Word{
			Text:       text,
			Start:      (time.Duration(from) - stream) * frame,
			End:        (time.Duration(to) - stream + 1) * frame,
			Confidence: confidence(m.ps, segment),
		})
	}
	return words
}

// confidence is the posterior of a word, which there is after the utterance's end only.
func confidence(ps *C.ps_decoder_t, segment *C.ps_seg_t) float64 {
	posterior := C.ps_seg_prob(segment, nil, nil, nil)
	return min(1, float64(C.logmath_exp(C.ps_get_logmath(ps), posterior)))
}

func (m *model) free() { C.ps_free(m.ps) }

// spoken is the word of a dictionary entry: "read(2)" is a way to say "read", "<sil>" and "[NOISE]" are no words.
func spoken(entry string) (string, bool) {
	if entry == "" || strings.ContainsAny(entry[:1], "<[+") {
		return "", false
	}
	word, _, _ := strings.Cut(entry, "(")
	return word, word != ""
}
