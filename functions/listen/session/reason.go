package session

import (
	"earshot.dev/functions/listen/wire"
)

// Reason is why a session ended. There are no others than those below; each end is logged once, with its name.
type Reason struct {
	Name string
	Code int    // of the close frame
	Text string // of the close frame, for the person
}

// ended makes a Reason the cause of a context's end.
type ended struct{ *Reason }

func (e ended) Error() string { return e.Name }

// The reasons.
var (
	ClientClosed     = &Reason{"client_closed", wire.CloseNormal, ""}
	ClientGone       = &Reason{"client_gone", wire.CloseGoingAway, ""}
	FrameTooLarge    = &Reason{"frame_too_large", wire.CloseTooBig, "frame over the limit"}
	TooMuch          = &Reason{"too_much", wire.CloseGoingAway, "more data than a session may bring: connect again"}
	ClientIdle       = &Reason{"client_idle", wire.CloseGoingAway, "no frame for 90 s"}
	ClientSlow       = &Reason{"client_slow", wire.CloseGoingAway, "too slow to read what is sent"}
	Drained          = &Reason{"drained", wire.CloseGoingAway, "the service moves: connect again"}
	Aged             = &Reason{"aged", wire.CloseGoingAway, "open for 55 minutes: connect again"}
	Superseded       = &Reason{"superseded", wire.CloseGoingAway, "a newer session of this device took over"}
	RecognizerFailed = &Reason{"recognizer_failed", 1011, "speech can't be recognised right now"}
	StoreFailed      = &Reason{"store_failed", 1011, "words can't be stored right now"}
)
