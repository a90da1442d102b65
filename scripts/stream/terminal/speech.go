package terminal

import (
	"fmt"
	"strings"
	"time"

	"earshot.dev/scripts/stream/client"
	"earshot.dev/shared/transcript"
)

// Speech shows a conversation as a client is told of it. On a terminal the latest segment is written in place, with
// the words that may still change after it; elsewhere the words that are new are, once they are final.
type Speech struct {
	Transcript client.Transcript

	t       *Terminal
	latest  string // id of the segment that was written last
	written string // its text
	interim string
	drawn   int // lines that the latest segment takes, on a terminal
}

// Speech begins to show a conversation.
func (t *Terminal) Speech() *Speech { return &Speech{t: t} }

// Take takes in a message.
func (s *Speech) Take(m client.Message) {
	if s.Transcript.Apply(m) {
		s.interim = ""
	}
	switch m.Type {
	case client.Segments:
		for _, segment := range m.Segments {
			s.show(segment)
		}
	case client.Interim:
		s.interim = m.Text
		if n := len(s.Transcript.Segments); s.t.width != nil {
			latest := transcript.Segment{Start: time.Duration(m.Start * float64(time.Second))}
			if n > 0 {
				latest = s.Transcript.Segments[n-1]
			}
			s.draw(latest)
		}
	}
}

// Settle leaves what was shown as it is: something else is written below.
func (s *Speech) Settle() { s.drawn = 0 }

// show writes a segment that is new or grew.
func (s *Speech) show(segment transcript.Segment) {
	if s.t.width != nil {
		s.draw(segment)
		return
	}
	news, label := segment.Text, clock(segment.Start)
	if grown, ok := strings.CutPrefix(segment.Text, s.written); ok && segment.ID == s.latest {
		news, label = grown, ""
	}
	s.latest, s.written = segment.ID, segment.Text
	if strings.TrimSpace(news) == "" {
		return
	}
	for _, line := range wrap(news, s.t.columns()-labelWidth) {
		s.t.Printf("%s%s\n", pad(label, labelWidth), line)
		label = ""
	}
}

// labelWidth is what stands before a line of speech, in columns.
const labelWidth = 8

// draw writes a segment in place of what was written of it before.
func (s *Speech) draw(segment transcript.Segment) {
	if s.drawn > 0 {
		s.t.Printf("\x1b[%dA\x1b[J", s.drawn) // up, and erase what is below (ECMA-48 sections 8.3.22 and 8.3.39)
	}
	for _, former := range s.Transcript.Segments {
		if s.drawn > 0 && former.ID == s.latest && former.ID != segment.ID {
			s.block(former, "")
		}
	}
	s.latest, s.drawn = segment.ID, s.block(segment, s.interim)
}

// block writes a segment and the words after it that may still change, and gives the number of lines.
func (s *Speech) block(segment transcript.Segment, interim string) int {
	final := wrap(segment.Text, s.t.columns()-labelWidth)
	lines := wrap(segment.Text+" "+interim, s.t.columns()-labelWidth)
	label := s.t.Dim(pad(clock(segment.Start), labelWidth))
	for i, line := range lines {
		s.t.Printf("%s%s\n", label, s.line(line, i, final))
		label = strings.Repeat(" ", labelWidth)
	}
	return len(lines)
}

// line dims what of a line is not final.
func (s *Speech) line(line string, i int, final []string) string {
	switch {
	case i < len(final)-1:
		return line
	case i > len(final)-1:
		return s.t.Dim(line)
	}
	settled := min(len(final[i]), len(line))
	return line[:settled] + s.t.Dim(line[settled:])
}

// clock is a time in a conversation as m:ss.
func clock(d time.Duration) string {
	seconds := int(d.Seconds())
	return fmt.Sprintf("%3d:%02d", seconds/60, seconds%60)
}
