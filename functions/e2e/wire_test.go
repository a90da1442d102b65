package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/local/testspeech"
)

const transcripts = "../listen/wire/testdata"

// What is said on the wire is what the transcripts say, whose README.md explains them.
func TestWire(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Options{Race: true, Env: map[string][]string{"listen": {"MAX_SESSIONS_PER_USER=2"}}})
	files, err := filepath.Glob(transcripts + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d transcripts: %v", len(files), err)
	}
	alone := transcripts + "/unreadable.txt" // what it needs would disturb others
	files = slices.DeleteFunc(files, func(file string) bool { return file == alone })
	t.Run("all", func(t *testing.T) { // the system is there until each is done
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".txt")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				replay(t, s, file, "wire-"+name)
			})
		}
	})
	replay(t, s, alone, "wire-unreadable")
}

func replay(t *testing.T, s *stack.Stack, file, uid string) {
	t.Helper()
	if err := s.AddUser(t.Context(), uid); err != nil {
		t.Fatal(err)
	}
	signedOut := []firestore.Update{{Path: "tokens_valid_after", Value: time.Now().Add(-time.Hour)}}
	if _, err := s.Firestore.Collection("users").Doc(uid).Update(t.Context(), signedOut); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{t: t, stack: s, listen: s.Listen, uid: uid, tokens: tokens(t, s, uid)}
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		p.at = fmt.Sprintf("%s:%d: %s", filepath.Base(file), i+1, line)
		if target, ok := strings.CutPrefix(line, "GET "); ok {
			var header []string
			for i++; i < len(lines) && lines[i] != ""; i++ {
				header = append(header, lines[i])
			}
			p.chosen = append(p.chosen, uuids.FindAllString(strings.ToLower(target), -1)...)
			p.connect(target, header)
			continue
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			p.play(line)
		}
	}
	for _, c := range p.connections {
		c.nothingMore()
	}
}

// tokens are what stands for {token} and the like.
func tokens(t *testing.T, s *stack.Stack, uid string) *strings.Replacer {
	t.Helper()
	impostor, err := s.Users.Impostor()
	if err != nil {
		t.Fatal(err)
	}
	good, err1 := s.UserToken(uid, time.Hour)
	expired, err2 := s.UserToken(uid, -time.Hour)
	nobody, err3 := s.UserToken("nobody", time.Hour)
	forged, err4 := impostor.UserToken(uid, s.Project, time.Hour)
	revoked, err5 := s.Users.UserTokenSince(time.Now().Add(-2*time.Hour), uid, s.Project, time.Hour)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return strings.NewReplacer("{token}", good, "{expired}", expired, "{nobody}", nobody, "{forged}", forged,
		"{revoked}", revoked)
}

// player plays the client's lines of a transcript, and holds the server to its own.
type player struct {
	t           *testing.T
	stack       *stack.Stack
	listen      *stack.Function // the stack's, or one that is this transcript's alone
	moody       *moody          // the recogniser of that
	uid         string
	tokens      *strings.Replacer
	at          string        // the line that is played
	connections []*connection // the last is meant, where none is named
	ids         []string      // #1 is the first
	chosen      []string      // ids that the client wants
	sent        [][]byte      // numbered frames
	suggested   []string      // ids of segments
}

var (
	spoken   = regexp.MustCompile(`^words (\d+) to (\d+)(?: on channel (\d+))?$`)
	quiet    = regexp.MustCompile(`^silence (\S+?)(?: on channel (\d+))?$`)
	murmured = regexp.MustCompile(`^speech without words (\S+) at once$`)
	repeated = regexp.MustCompile(`^frames (\d+) to (\d+) again$`)
	leftOut  = regexp.MustCompile(`^leave out (\d+) frames$`)
	octets   = regexp.MustCompile(`^bytes ([0-9a-f]+|\d+ of zero)$`)
	idle     = regexp.MustCompile(`^nothing for (\S+)$`)
	pictured = regexp.MustCompile(`^image (\S+) of (\d+) bytes$`)
	long     = regexp.MustCompile(`^(\d+) segments of (\d+) bytes$`)
	renamed  = regexp.MustCompile(`^their speaker is another, (\d+) times$`)
)

func (p *player) play(line string) {
	p.t.Helper()
	if what, ok := strings.CutPrefix(line, "given "); ok {
		p.given(what)
		return
	}
	c := p.connections[len(p.connections)-1]
	if rest, ok := strings.CutPrefix(line, "before "); ok {
		c, line = p.connections[len(p.connections)-2], rest
	}
	switch verb, what, _ := strings.Cut(line, " "); verb {
	case "<":
		c.expect(what)
	case ">":
		p.say(c, what)
	case "cut":
		c.cut()
	case "unread":
		c.reading.Lock()
	case "read":
		c.reading.Unlock()
	default:
		p.t.Fatalf("%s: what is that?", p.at)
	}
}

func (p *player) say(c *connection, what string) {
	p.t.Helper()
	if m := spoken.FindStringSubmatch(what); m != nil {
		p.audio(c, channel(m[3]), testspeech.Words(numbers(uint32(number(m[1])), uint32(number(m[2])))...))
	} else if m := quiet.FindStringSubmatch(what); m != nil {
		p.audio(c, channel(m[2]), testspeech.Silence(p.duration(m[1])))
	} else if m := murmured.FindStringSubmatch(what); m != nil {
		for packet := range slices.Chunk(testspeech.Bytes(unworded(p.duration(m[1]))), 2*testspeech.FrameSamples) {
			c.send(p.frame(c, 1, packet))
		}
	} else if m := idle.FindStringSubmatch(what); m != nil {
		p.wait(m[1])
	} else if m := repeated.FindStringSubmatch(what); m != nil {
		from, through := number(m[1]), number(m[2])
		if from < 1 || through > len(p.sent) {
			p.t.Fatalf("%s: %d frames were sent", p.at, len(p.sent))
		}
		for _, frame := range p.sent[from-1 : through] {
			c.send(frame)
		}
	} else if m := leftOut.FindStringSubmatch(what); m != nil {
		p.sent = append(p.sent, make([][]byte, number(m[1]))...)
	} else if m := octets.FindStringSubmatch(what); m != nil {
		c.send(frameOf(m[1]))
	} else if m := pictured.FindStringSubmatch(what); m != nil {
		p.picture(c, m[1], number(m[2]))
	} else if m := long.FindStringSubmatch(what); m != nil {
		p.suggest(c, number(m[1]), number(m[2]))
	} else if m := renamed.FindStringSubmatch(what); m != nil {
		p.rename(c, number(m[1]))
	} else if what == "close" {
		c.close()
	} else {
		c.text(p.tokens.Replace(p.real(what)))
	}
}

// channel reads a channel's number; the first, where none is named.
func channel(digits string) byte {
	if digits == "" {
		return 1
	}
	return byte(number(digits)) //nolint:gosec // there are two
}

func (p *player) duration(text string) time.Duration {
	p.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		p.t.Fatalf("%s: %v", p.at, err)
	}
	return d
}

func (p *player) wait(duration string) {
	p.t.Helper()
	select {
	case <-time.After(p.duration(duration)):
	case <-p.t.Context().Done():
	}
}

// audio sends samples in real time, each frame as the query asks for.
func (p *player) audio(c *connection, channel byte, pcm []int16) {
	p.t.Helper()
	c.paced(packets(pcm, shortPacket), func(packet []byte) []byte { return p.frame(c, channel, packet) })
}

// frame is a packet as the query asks for it.
func (p *player) frame(c *connection, channel byte, packet []byte) []byte {
	if c.query.Get("channels") == "2" {
		packet = append([]byte{channel}, packet...)
	}
	if c.query.Get("ack") == "1" {
		packet = numbered(len(p.sent)+1, packet)
		p.sent = append(p.sent, packet)
	}
	return packet
}

var (
	uuids  = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	times  = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[0-9:.]+Z"`)
	offset = regexp.MustCompile(`"(start|end)":[0-9.]+`)
	named  = regexp.MustCompile(`#\d+`)
)

// normal is a message as a transcript has it: an id that the client didn't choose is told by when it was first seen, and no
// clock is told.
func (p *player) normal(message string) string {
	message = offset.ReplaceAllString(times.ReplaceAllString(message, `"TIME"`), `"$1":…`)
	return uuids.ReplaceAllStringFunc(message, func(id string) string {
		if slices.Contains(p.chosen, id) {
			return id
		}
		for i, known := range p.ids {
			if known == id {
				return fmt.Sprintf("#%d", i+1)
			}
		}
		p.ids = append(p.ids, id)
		return fmt.Sprintf("#%d", len(p.ids))
	})
}

// real is the opposite, as to ids.
func (p *player) real(line string) string {
	return named.ReplaceAllStringFunc(line, func(name string) string {
		n := number(name[1:])
		if n > len(p.ids) {
			p.t.Fatalf("%s: there is no %s yet", p.at, name)
		}
		return p.ids[n-1]
	})
}

// sequence is what an audio_ack acknowledges; 0: it is another message.
func sequence(message string) (n int) {
	var m struct {
		Type     string
		Sequence int
	}
	if err := json.Unmarshal([]byte(message), &m); err != nil || m.Type != "audio_ack" {
		return 0
	}
	return m.Sequence
}

// number reads what a regular expression has found to be one.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		panic(err)
	}
	return n
}
