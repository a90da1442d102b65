package session

import (
	"time"

	"earshot.dev/functions/listen/wire"
)

// ackEvery is how often at most a client is told what is safe: the wire's contract.
const ackEvery = 500 * time.Millisecond

// acks tells a client through which frame its numbered audio is safe. It is owned by the transcribe loop.
type acks struct {
	tell       func(frame []byte)
	safe, told uint32
	at         time.Time // when it was last told
}

// begin tells it whatever was told before: the client wants to know where to begin.
func (a *acks) begin(sequence uint32) {
	a.safe = sequence
	a.say()
}

// move notes that audio through a frame is safe, and tells it unless that is too soon.
func (a *acks) move(sequence uint32) {
	a.safe = max(a.safe, sequence)
	a.proceed()
}

func (a *acks) proceed() {
	if a.news() && !time.Now().Before(a.due()) {
		a.say()
	}
}

// rest tells what was kept, since nothing more will come.
func (a *acks) rest() {
	if a.news() {
		a.say()
	}
}

func (a *acks) news() bool { return a.safe > a.told }

func (a *acks) due() time.Time { return a.at.Add(ackEvery) }

func (a *acks) say() {
	a.told, a.at = a.safe, time.Now()
	a.tell(wire.AudioAck(a.safe))
}
