package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"earshot.dev/scripts/stream/terminal"
)

// recordings is where Debian's pocketsphinx-testdata has clips of an audio book: Sense and Sensibility, 25 s.
const recordings = "/usr/share/pocketsphinx/test/data/librivox"

// librivox gives the files of the clips and the text that was read.
func librivox() (clips []string, text string, err error) {
	clips, err = filepath.Glob(recordings + "/*.wav")
	if err != nil || len(clips) == 0 {
		return nil, "", fmt.Errorf("no speech in %s: Debian has it as pocketsphinx-testdata", recordings)
	}
	lines, err := os.ReadFile(recordings + "/transcription")
	if err != nil {
		return nil, "", fmt.Errorf("read what the clips say: %w", err)
	}
	return clips, textOf(string(lines)), nil
}

// textOf is the words of a transcript as PocketSphinx has it: a line for each clip, <s> words </s> (clip).
func textOf(lines string) string {
	var words []string
	for line := range strings.Lines(lines) {
		line, _, _ = strings.Cut(line, "</s>")
		words = append(words, strings.Fields(strings.TrimPrefix(line, "<s>"))...)
	}
	return strings.Join(words, " ")
}

// compare shows what was read beside what was heard.
func compare(out *terminal.Terminal, read, heard string) {
	out.Title("What was read, and what was heard")
	out.Field("read", read)
	out.Field("heard", cmp.Or(heard, "nothing that is final"))
	out.Printf("\n  What was read is what PocketSphinx's test data says, with its slips." +
		"\n  Wrong words are those of the recogniser, PocketSphinx, which is small.\n")
}
