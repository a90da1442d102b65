package e2e

import (
	"bytes"
	"context"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"earshot.dev/scripts/local/deepgram"
	"earshot.dev/scripts/local/sphinx"
	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
)

// A clip of an audio book (LibriVox, public domain; Debian's pocketsphinx-testdata), and what is read in it.
const (
	clip     = "/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0870.wav"
	clipText = "and mister john dashwood had then leisure to consider how much there might be prudently in his power to do for them"
)

// Real speech, in what devices really send, comes back as words: as many as of the samples as they are, or nearly. What
// is exact needs lossless audio, so these are the local recogniser's, which gets a third of the words wrong. Packets that
// can't be decoded are among those of Opus, and cost no word.
//
// Functions aren't built with the tags that AAC and LC3 need, here as in the cloud, and refuse both (codecs.txt among
// the transcripts): what is decoded of them is held against other decoders in functions/listen/audio.
func TestEachCodecIsHeard(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(clip); err != nil {
		t.Skipf("no recorded speech (Debian has it as pocketsphinx-testdata): %v", err)
	}
	engine, err := sphinx.New("", 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	s := start(t, stack.Options{Race: true})
	recognizer := serveWords(t, &deepgram.Handler{Engine: engine, Key: stack.RecognizerKey})
	read := strings.Fields(clipText)
	for _, codec := range []string{source.PCM16, source.PCM8, source.Opus, source.OpusFS320} {
		t.Run(codec, func(t *testing.T) {
			uid := "codec-" + codec
			if err := s.AddUser(t.Context(), uid); err != nil {
				t.Fatal(err)
			}
			recording, err := source.Open(t.Context(), clip, source.Wish{Codec: codec})
			if err != nil {
				t.Fatal(err)
			}
			defer recording.Close()
			sp := speakTo(t, s, uid, client.Config{Codec: recording.Codec, SampleRate: recording.Rate}, recognizer)
			sent := recording.Packets
			if strings.HasPrefix(codec, source.Opus) {
				sent = spoilt(sent)
			}
			if err := sp.client.Stream(t.Context(), sent, true); err != nil {
				t.Fatal(err)
			}
			sp.stop()
			var cid string
			sp.until("the conversation", func() bool {
				if len(sp.conversations) > 0 {
					cid = sp.conversations[0]
				}
				return cid != ""
			})
			var heard []string
			settled(t, "the words stored", func(ctx context.Context) (_ bool, err error) {
				all, err := stored(ctx, s, uid)
				if err != nil || len(all) == 0 || all[cid]["status"] == "live" {
					return false, err
				}
				heard, err = (&fleet{stack: s}).stored(ctx, uid)
				return err == nil, err
			})
			right := inOrder(read, heard)
			t.Logf("%s: %d of %d words are right: %s", codec, right, len(read), strings.Join(heard, " "))
			if 2*right < len(read) {
				t.Errorf("%d of %d words are right, want half at least", right, len(read))
			}
		})
	}
}

// spoilt has a packet that Opus has no meaning for (it would last over 120 ms) behind every fifth.
func spoilt(packets iter.Seq2[source.Packet, error]) iter.Seq2[source.Packet, error] {
	return func(yield func(source.Packet, error) bool) {
		n := 0
		for p, err := range packets {
			if !yield(p, err) {
				return
			}
			if n++; n%5 == 0 && !yield(source.Packet{Data: bytes.Repeat([]byte{0xff}, 8)}, nil) {
				return
			}
		}
	}
}

// inOrder is the length of the longest list that is in both, in order.
func inOrder(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		before := slices.Clone(row)
		for j, y := range b {
			row[j+1] = max(row[j], before[j+1])
			if strings.EqualFold(x, strings.Trim(y, ".,")) {
				row[j+1] = before[j] + 1
			}
		}
	}
	return row[len(b)]
}
