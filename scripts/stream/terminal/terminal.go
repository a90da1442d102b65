// Package terminal writes for a person: styled and in place where it is a terminal that is written to, plain text line
// by line where it is not.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// The widths of text, in columns: what is assumed of what is no terminal, and the most that reads well.
const (
	plainWidth = 80
	maxWidth   = 100
)

// Terminal is where one goroutine at a time writes to.
type Terminal struct {
	w       io.Writer
	width   func() int // in columns; nil where it is no terminal
	waiting bool       // the cursor is in the line of Begin
}

// New finds out whether file is a terminal. NO_COLOR has it written to as if it were not (https://no-color.org).
func New(file *os.File) *Terminal {
	width := func() int {
		size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
		if err != nil || size.Col == 0 {
			return 0
		}
		return int(size.Col)
	}
	if width() == 0 || os.Getenv("NO_COLOR") != "" {
		width = nil
	}
	return &Terminal{w: file, width: width}
}

// Plain is text line by line.
func Plain(w io.Writer) *Terminal { return &Terminal{w: w} }

// Printf writes as fmt.Fprintf does.
func (t *Terminal) Printf(format string, args ...any) {
	if t.waiting {
		t.waiting = false
		format = "\r\x1b[K" + format // erase the line (ECMA-48 section 8.3.41)
	}
	_, _ = fmt.Fprintf(t.w, format, args...) // a terminal that is gone has nobody to tell
}

// Title begins a part of what is written.
func (t *Terminal) Title(text string) { t.Printf("\n%s\n", t.Bold(text)) }

// Field writes a name and what it stands for, wrapped and aligned.
func (t *Terminal) Field(name, text string) {
	const indent = 14
	lines := wrap(text, t.columns()-indent)
	t.Printf("  %s%s\n", t.Dim(pad(name, indent-2)), lines[0])
	for _, line := range lines[1:] {
		t.Printf("%s%s\n", strings.Repeat(" ", indent), line)
	}
}

// Begin says what is being done: on a terminal in a line that the next one replaces.
func (t *Terminal) Begin(what string) {
	if t.width == nil {
		t.Printf("%s ...\n", what)
		return
	}
	t.Printf("%s", t.Dim(what+" ..."))
	t.waiting = true
}

// Clear takes away the line of Begin.
func (t *Terminal) Clear() {
	if t.waiting {
		t.Printf("")
	}
}

// Done says that something is done.
func (t *Terminal) Done(format string, args ...any) {
	t.Printf("%s %s\n", t.style("32", "ok"), fmt.Sprintf(format, args...))
}

// Failed says that something is not as it should be.
func (t *Terminal) Failed(format string, args ...any) {
	t.Printf("%s %s\n", t.style("1;31", "failed"), fmt.Sprintf(format, args...))
}

// Bold is text that stands out.
func (t *Terminal) Bold(text string) string { return t.style("1", text) }

// Dim is text that stands back.
func (t *Terminal) Dim(text string) string { return t.style("2", text) }

// style puts text between a style and its end (ECMA-48 section 8.3.117).
func (t *Terminal) style(code, text string) string {
	if t.width == nil || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (t *Terminal) columns() int {
	if t.width == nil {
		return plainWidth
	}
	return min(t.width(), maxWidth)
}

// pad fills text up to so many columns.
func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-utf8.RuneCountInString(text)))
}

// minWidth is the least that text is wrapped to, in columns.
const minWidth = 20

// wrap breaks text between words, in lines of so many columns where no word is longer. There is at least one line.
func wrap(text string, columns int) []string {
	columns = max(columns, minWidth)
	var lines []string
	line, length := "", 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case line == "":
			line, length = word, n
		case length+1+n > columns:
			lines = append(lines, line)
			line, length = word, n
		default:
			line, length = line+" "+word, length+1+n
		}
	}
	return append(lines, line)
}
