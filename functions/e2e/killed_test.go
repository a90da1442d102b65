package e2e

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/scripts/stream/client"
	"earshot.dev/scripts/stream/source"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/firestoretest"
)

// keptVariable makes this test binary the system that is killed, with its documents in the directory that it names.
const keptVariable = "E2E_KEPT"

const (
	keptUsers = 10
	keptGap   = 400 * time.Millisecond // between words: each is final, and committed, by itself
	keptEnd   = 5 * time.Second        // without a word, after which a conversation is over
)

// kept says how to speak to a system in another process.
type kept struct {
	URL    string
	Tokens map[string]string // by user
}

// The whole system, with its documents kept in a directory, is killed while several people speak, and started again on
// the directory. What had been acknowledged is stored, once and in its place; the sweep ends each conversation, it is
// told of once, and the usage adds up.
func TestKilledAndStartedAgain(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere the functions outlive the process that started them")
	}
	if data := os.Getenv(keptVariable); data != "" {
		serveKept(t, data)
	}
	t.Parallel()
	data := t.TempDir()
	first := launchKept(t, data)
	acknowledged := speakUntilKilled(t, first)

	s := start(t, stack.Options{Race: true, Data: data})
	f := &fleet{t: t, stack: s}
	for _, uid := range first.users() {
		if err := s.AddUser(t.Context(), uid); err != nil { // their webhooks are for another receiver now
			t.Fatal(err)
		}
	}
	ended := func(ctx context.Context) (bool, error) {
		sweep(t, s)
		for _, uid := range first.users() {
			all, err := stored(ctx, s, uid)
			if err != nil {
				return false, err
			}
			for _, c := range all {
				if c["status"] == "live" {
					return false, fmt.Errorf("%s: a conversation is live", uid)
				}
			}
		}
		return true, nil
	}
	settled(t, "the end of all conversations", ended)
	more := 0
	for _, uid := range first.users() {
		words, err := f.stored(t.Context(), uid)
		if err != nil {
			t.Fatal(err)
		}
		if n := uint32(len(words)); len(words) < acknowledged[uid] || !slices.Equal(words, texts(numbers(1, n))) { //nolint:gosec // small
			t.Errorf("%s: stored %q, want w1 and on, each once, to w%d at least, which was acknowledged", uid, words, acknowledged[uid])
			continue
		}
		more += len(words) - acknowledged[uid]
		onlyOne(t, s, uid, told(t, s, uid, words))
		counted(t, s, uid, int64(len(words)))
	}
	if more == 0 {
		t.Errorf("acknowledged %v, and all that was stored; want a word more, whose commit was not answered", acknowledged)
	}
	t.Logf("acknowledged %v, and %d words more were stored", acknowledged, more)
}

func (k kept) users() []string {
	var all []string
	for uid := range k.Tokens {
		all = append(all, uid)
	}
	return slices.Sorted(slices.Values(all))
}

// told waits for the one webhook on a user's conversation, which has these words, and gives the conversation's id.
func told(t *testing.T, s *stack.Stack, uid string, words []string) string {
	t.Helper()
	var taken []conversation.Wire
	settled(t, uid+"'s webhook", func(ctx context.Context) (bool, error) {
		taken = nil
		for _, r := range s.Webhooks.All() {
			if r.Refused || r.Query.Get("uid") != uid {
				continue
			}
			var c conversation.Wire
			if err := json.Unmarshal(r.Body, &c); err != nil || r.Invalid != nil {
				t.Fatalf("%s's webhook: %v, signature %v", uid, err, r.Invalid)
			}
			taken = append(taken, c)
		}
		if len(taken) > 0 {
			return true, nil
		}
		all, err := stored(ctx, s, uid)
		return false, cmp.Or(err, fmt.Errorf("none of %v", all))
	})
	var heard []string
	for _, segment := range taken[0].Segments {
		heard = append(heard, strings.Fields(segment.Text)...)
	}
	if len(taken) != 1 || taken[0].Status != "completed" || !slices.Equal(heard, words) {
		t.Errorf("%s: %d webhooks, the first of a conversation that is %s with %q; want one, completed, with %q",
			uid, len(taken), taken[0].Status, heard, words)
	}
	return taken[0].ID
}

// serveKept is the system that is killed. It says how to speak to it, and stays up. When it is told to, it holds a commit
// of words before it takes effect, and another after that and before it is answered, and says so.
func serveKept(t *testing.T, data string) {
	s := start(t, stack.Options{Race: true, Data: data})
	k := kept{Tokens: map[string]string{}}
	var err error
	if k.URL, err = s.ListenURL(); err != nil {
		t.Fatal(err)
	}
	for n := range keptUsers {
		uid := fmt.Sprintf("kept%02d", n)
		if err := s.AddUser(t.Context(), uid); err != nil {
			t.Fatal(err)
		}
		if k.Tokens[uid], err = s.UserToken(uid, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	line, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	tell(t, string(line))
	asked := bufio.NewReader(os.Stdin)
	if _, err := asked.ReadBytes('\n'); err != nil {
		t.Fatal(err)
	}
	for _, after := range []bool{false, true} {
		s.Documents.Inject(firestoretest.Fault{Method: "Commit", Match: hasWords, After: after, Wait: func(ctx context.Context, _ proto.Message) {
			tell(t, "held")
			<-ctx.Done()
		}})
	}
	if _, err := io.Copy(io.Discard, asked); err != nil { // until the test is gone
		t.Error(err)
	}
}

// tell writes a line for the test that has launched this process.
func tell(t *testing.T, line string) {
	if _, err := fmt.Fprintln(os.Stdout, line); err != nil {
		t.Error(err)
	}
}

// hasWords reports whether a commit stores words.
func hasWords(request proto.Message) bool {
	commit, ok := request.(*firestorepb.CommitRequest)
	return ok && slices.ContainsFunc(commit.GetWrites(), func(w *firestorepb.Write) bool {
		return strings.Contains(w.GetUpdate().GetName(), "/pages/")
	})
}

// launched is a system in a process of its own.
type launched struct {
	kept
	process *exec.Cmd
	say     io.Writer
	said    *bufio.Reader
}

func launchKept(t *testing.T, data string) *launched {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), binary, "-test.run=^"+t.Name()+"$")
	process.Env = append(os.Environ(), keptVariable+"="+data)
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	l := &launched{process: process, say: in, said: said}
	line, err := said.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &l.kept) != nil {
		rest, _ := io.ReadAll(said) // it explains what is wrong
		t.Fatalf("the system said %s%s (%v), want how to speak to it; it ended with %v", line, rest, err, process.Wait())
	}
	return l
}

// hold waits until the system is in the middle of two commits of words.
func (l *launched) hold() error {
	if _, err := fmt.Fprintln(l.say, "hold"); err != nil {
		return err
	}
	for range 2 {
		if line, err := l.said.ReadString('\n'); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
	}
	return nil
}

// speakUntilKilled has everybody speak, and kills the system when everybody has had some words acknowledged and others
// are being committed. It gives how many words of each user were acknowledged by then.
func speakUntilKilled(t *testing.T, l *launched) map[string]int {
	t.Helper()
	const enough = 5
	ctx, hush := context.WithCancel(t.Context())
	defer hush()
	words := testspeech.Spaced(keptGap, numbers(1, 100)...) // more than are said
	var speaking errgroup.Group
	var devices []*device
	for _, uid := range l.users() {
		d := &device{uid: uid, Session: client.NewSession(client.Config{
			URL: l.URL, Token: client.FixedToken(l.Tokens[uid]), Device: "device", Codec: source.PCM16, SampleRate: testspeech.Rate, Language: "en",
			Query: url.Values{"conversation_timeout": {fmt.Sprint(keptEnd.Seconds())}},
		}, func(client.Message) {})}
		devices = append(devices, d)
		speaking.Go(func() error { return d.Run(ctx) })
		speaking.Go(func() error { return d.speak(ctx, words) })
	}
	waiting, give := context.WithTimeout(ctx, patience)
	defer give()
	err := poll(waiting, func() error {
		for _, d := range devices {
			if n := d.acknowledged(); n < enough {
				return fmt.Errorf("%s has had %d words acknowledged", d.uid, n)
			}
		}
		return nil
	})
	if err == nil {
		err = l.hold()
	}
	if killed := l.process.Process.Kill(); err != nil || killed != nil {
		t.Fatal(err, killed)
	}
	_ = l.process.Wait() // it was killed
	hush()
	_ = speaking.Wait() // hushed
	acknowledged := map[string]int{}
	for _, d := range devices {
		acknowledged[d.uid] = d.acknowledged()
	}
	return acknowledged
}

// device counts what it was given to send.
type device struct {
	*client.Session
	uid   string
	given atomic.Int64 // packets
}

// speak says words in real time, until the context ends.
func (d *device) speak(ctx context.Context, words []int16) error {
	for p, err := range client.Paced(ctx, packets(words, packetDuration)) {
		if err != nil {
			return err
		}
		d.given.Add(1)
		d.Send(p.Data)
	}
	return nil
}

// acknowledged is how many words were said in full in the audio that is acknowledged.
func (d *device) acknowledged() int {
	safe := time.Duration(d.given.Load()-int64(d.Unacknowledged())) * packetDuration
	return int((safe + keptGap) / (testspeech.WordDuration + keptGap))
}
