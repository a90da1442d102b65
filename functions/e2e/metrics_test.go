package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/metrics/v1"

	"earshot.dev/scripts/local/stack"
	"earshot.dev/scripts/local/testspeech"
	"earshot.dev/shared/otlptest"
	"earshot.dev/shared/usage"
)

// What devices of some people did, as they know it, is what the metrics say when all is over.
func TestMetrics(t *testing.T) {
	t.Parallel()
	receiver, err := otlptest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(receiver.Stop)
	s := start(t, stack.Options{Race: true, Telemetry: receiver.Endpoint()})
	m := &measured{t: t, receiver: receiver}
	s.Webhooks.FailNext(1, http.StatusServiceUnavailable)

	did := &deeds{t: t, stack: s}
	did.talk("ida", 101, 112)
	did.cutAndTalk("jan", 201, 206, 212)
	did.repeat("kim", 301, 304)
	did.drain("leo", 401, 403)
	sweep(t, s)
	used := did.counted()

	m.equal("earshot.session.ended", "reason=client_closed", 3)
	m.equal("earshot.session.ended", "reason=client_gone", 1)
	m.equal("earshot.session.ended", "reason=drained", 1)
	m.equal("earshot.session.ended", "", 5)
	m.equal("earshot.session.duration", "", 5)
	m.equal("earshot.session.open", "", 0)
	m.equal("earshot.frame.received", "", did.frames)
	m.between("earshot.frame.bytes", "", did.bytes, did.bytes+5000) // and what is no audio: the answers to pings, and text
	m.equal("earshot.drop", "reason=repeated", 2)
	m.equal("earshot.drop", "reason=malformed", 1)
	m.equal("earshot.drop", "reason=ignored", 1)
	m.equal("earshot.drop", "", 4)
	m.equal("earshot.frame.missing", "", 3)

	m.equal("earshot.word.final", "", did.words)
	m.equal("earshot.usage.words", "", did.words)
	m.equal("earshot.usage.audio", "", float64(used.AudioMS)/1000)
	m.equal("earshot.usage.speech", "", float64(used.SpeechMS)/1000)
	// The end of a session's audio counts as far as its words are known; of the speech, the VAD decides to 700 ms a pause.
	m.between("earshot.usage.audio", "", did.spoken.Seconds(), did.sent.Seconds()+0.1)
	m.between("earshot.usage.speech", "", 0.8*did.spoken.Seconds(), did.sent.Seconds()+0.1)
	told := m.sum("earshot.lag.audio_to_word", "kind=final")
	if told == 0 || told > did.words {
		t.Errorf("%v utterances were told, of %v words", told, did.words)
	}
	m.equal("earshot.lag.word_to_durable", "", told)

	m.equal("earshot.finalization.attempts", "outcome=completed", 3)
	m.equal("earshot.finalization.age", "outcome=completed", 3)
	m.equal("earshot.delivery.attempts", "outcome=delivered", 3)
	m.equal("earshot.delivery.attempts", "outcome=failed", 1)
	m.equal("earshot.delivery.attempts", "", float64(len(s.Webhooks.All())))
	m.equal("earshot.sweep.passes", "outcome=done", 1)
	m.equal("earshot.recognizer.failures", "", 0)
	m.equal("earshot.lock.losses", "", 0)
	m.between("earshot.lock.calls", "outcome=acquired", 3+3, math.Inf(1)) // to finalize, and to deliver
	m.between("earshot.cache.lookups", "cache=profile", 5, math.Inf(1))   // each session
	m.anonymous(did.people, did.conversations)
}

// deeds are what devices have done, one after the other. All audio is PCM16 in frames of 20 ms.
type deeds struct {
	t     *testing.T
	stack *stack.Stack

	people, conversations []string
	frames, bytes, words  float64
	sent, spoken          time.Duration
}

// person adds somebody, and opens a session of theirs.
func (d *deeds) person(uid string, query url.Values) *speaker {
	d.t.Helper()
	if !slices.Contains(d.people, uid) {
		d.people = append(d.people, uid)
		if err := d.stack.AddUser(d.t.Context(), uid); err != nil {
			d.t.Fatal(err)
		}
	}
	return connect(d.t, d.stack, uid, query)
}

// say speaks words, is silent for a second, and returns when all of it was taken in: a frame that comes after the end of
// a session is one that was dropped.
func (d *deeds) say(sp *speaker, from, through uint32) {
	d.t.Helper()
	pcm := slices.Concat(testspeech.Words(numbers(from, through)...), testspeech.Silence(time.Second))
	if err := sp.play(pcm); err != nil {
		d.t.Fatal(err)
	}
	if err := sp.client.Ping(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	d.heard(len(pcm), through-from+1)
}

func (d *deeds) heard(samples int, words uint32) {
	d.frames += math.Ceil(float64(samples) / testspeech.FrameSamples)
	d.bytes += float64(2 * samples)
	d.sent += time.Duration(samples) * time.Second / testspeech.Rate
	d.spoken += time.Duration(words) * testspeech.WordDuration
	d.words += float64(words)
}

// end ends the conversation, waits for its webhook, and says goodbye.
func (d *deeds) end(sp *speaker, words string) {
	d.t.Helper()
	sp.stop()
	d.conversations = append(d.conversations, finished(d.t, d.stack, words).ID)
	if err := sp.client.Close(); err != nil {
		d.t.Error(err)
	}
	<-sp.done
}

func (d *deeds) talk(uid string, from, through uint32) {
	d.t.Helper()
	sp := d.person(uid, nil)
	d.say(sp, from, through)
	sp.sees(from, through)
	d.end(sp, text(from, through))
}

// cutAndTalk breaks the connection after some of the words.
func (d *deeds) cutAndTalk(uid string, from, cut, through uint32) {
	d.t.Helper()
	sp := d.person(uid, nil)
	d.say(sp, from, cut)
	sp.sees(from, cut)
	sp.client.Cut()
	<-sp.done
	sp = d.person(uid, nil)
	d.say(sp, cut+1, through)
	sp.until("the words", func() bool { return strings.HasSuffix(sp.shown.Text(), testspeech.Text(through)) })
	d.end(sp, text(from, through))
}

// repeat numbers its audio, as a device does that keeps it: it sends two frames again, leaves out three numbers, and
// says one thing in bytes and one in text that nobody understands.
func (d *deeds) repeat(uid string, from, through uint32) {
	d.t.Helper()
	sp := d.person(uid, url.Values{"ack": {"1"}})
	send := func(frame []byte) {
		if err := sp.client.Send(d.t.Context(), frame); err != nil {
			d.t.Fatal(err)
		}
	}
	pcm := slices.Concat(testspeech.Words(numbers(from, through)...), testspeech.Silence(time.Second))
	number := uint32(0)
	var last []byte
	for p, err := range packets(pcm, shortPacket) {
		if err != nil {
			d.t.Fatal(err)
		}
		number++
		last = slices.Concat(binary.BigEndian.AppendUint32(nil, number), p.Data)
		send(last)
	}
	d.heard(len(pcm), through-from+1)
	send(last)
	send(last)
	silence := testspeech.Bytes(testspeech.Silence(shortPacket))
	send(slices.Concat(binary.BigEndian.AppendUint32(nil, number+4), silence))
	send(make([]byte, 4+len(silence))) // number 0
	if err := sp.client.Say(d.t.Context(), `{"type":"sing"}`); err != nil {
		d.t.Fatal(err)
	}
	d.frames += 4
	d.bytes += float64(4*number) + float64(2*len(last)) + float64(2*(4+len(silence)))
	d.sent += shortPacket
	sp.sees(from, through)
	d.end(sp, text(from, through))
}

// drain speaks on an instance that is told to stop. The conversation stays open.
func (d *deeds) drain(uid string, from, through uint32) {
	d.t.Helper()
	sp := d.person(uid, nil)
	d.say(sp, from, through)
	sp.sees(from, through)
	old := d.stack.Listen.Processes()[0]
	if err := old.Terminate(); err != nil {
		d.t.Errorf("the process ended with %v", err)
	}
	sp.closedWith(1001)
}

// counted waits until all that was said is counted for the people, and gives what was.
func (d *deeds) counted() usage.Totals {
	d.t.Helper()
	var sum usage.Totals
	settled(d.t, "usage of all", func(ctx context.Context) (bool, error) {
		sum = usage.Totals{}
		for _, uid := range d.people {
			snapshots, err := d.stack.Firestore.Collection("users/" + uid + "/usage").Documents(ctx).GetAll()
			if err != nil {
				return false, err
			}
			for _, snapshot := range snapshots {
				if snapshot.Ref.ID[0] == 'm' {
					sum = sum.Add(totals(snapshot))
				}
			}
		}
		return float64(sum.Words) >= d.words, nil
	})
	return sum
}

// measured asks what has arrived at the receiver.
type measured struct {
	t        *testing.T
	receiver *otlptest.Receiver
}

// point is what one instrument has measured of one kind; of a histogram, how many amounts.
type point struct {
	by    []string // key=value
	value float64
}

// points are those of a metric, of all instances.
func (m *measured) points(name string) []point {
	var all []point
	for _, metric := range m.receiver.Metrics() {
		if metric.GetName() == name {
			all = append(all, pointsOf(metric.Metric)...)
		}
	}
	return all
}

func pointsOf(m *otlp.Metric) []point {
	var all []point
	numbers := slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints())
	for _, p := range numbers {
		all = append(all, point{pairs(p.GetAttributes()), float64(p.GetAsInt()) + p.GetAsDouble()})
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		all = append(all, point{pairs(p.GetAttributes()), float64(p.GetCount())})
	}
	return all
}

func pairs(attributes []*common.KeyValue) []string {
	var all []string
	for _, a := range attributes {
		all = append(all, a.GetKey()+"="+a.GetValue().GetStringValue())
	}
	return all
}

// sum adds up the points that have an attribute; "" is all.
func (m *measured) sum(name, by string) float64 {
	sum := 0.0
	for _, p := range m.points(name) {
		if by == "" || slices.Contains(p.by, by) {
			sum += p.value
		}
	}
	return sum
}

// equal waits until a metric is what it should be: what processes have measured comes within half a second.
func (m *measured) equal(name, by string, want float64) {
	m.t.Helper()
	m.between(name, by, want-1e-6, want+1e-6)
}

func (m *measured) between(name, by string, least, most float64) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	err := m.receiver.Wait(ctx, func() bool {
		got := m.sum(name, by)
		return got >= least && got <= most
	})
	if err != nil {
		m.t.Errorf("%s{%s}: got %v, want %v to %v; in all %v", name, by, m.sum(name, by), least, most, m.points(name))
	}
}

// anonymous checks that no attribute tells people or conversations apart, nor grows with their number.
func (m *measured) anonymous(people, conversations []string) {
	m.t.Helper()
	kinds := map[string]bool{}
	for _, metric := range m.receiver.Metrics() {
		for _, p := range pointsOf(metric.Metric) {
			kinds[fmt.Sprint(metric.GetName(), p.by)] = true
			for _, id := range slices.Concat(people, conversations) {
				if slices.ContainsFunc(p.by, func(pair string) bool { return strings.Contains(pair, id) }) {
					m.t.Errorf("%s is told by %q", metric.GetName(), p.by)
				}
			}
		}
	}
	if len(kinds) > 200 {
		m.t.Errorf("%d time series of each instance, want 200 at most: %q", len(kinds), slices.Sorted(maps.Keys(kinds)))
	}
}
