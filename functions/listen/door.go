package main

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"earshot.dev/functions/listen/audio"
	"earshot.dev/functions/listen/session"
	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/account"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/cache"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// door lets clients in: it finds out who they are and what they speak, and hands them to a session. Clients see
// a refused upgrade only as a failure, so whoever comes is accepted, and refused with a close code.
type door struct {
	users      *auth.Users
	profiles   *cache.Query[account.Profile]
	recognizer stt.Recognizer
	store      session.Store
	publisher  session.Publisher
	sessions   *session.Registry
	maxFrame   int64
	minSilence time.Duration
}

// ServeHTTP is one client's visit, from the upgrade to the close.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Devices and apps name no origin; a token, not a cookie, says who it is, so origins need no check.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		logging.Error(r.Context(), "upgrade_refused", fault.New(fault.Invalid, "accept", err))
		return
	}
	socket := wire.NewSocket(conn, d.maxFrame)
	id := uuid.NewString()
	ctx := logging.With(r.Context(), slog.String("session_id", id))
	if err := d.visit(ctx, id, socket, r); err != nil {
		logging.Error(ctx, "session_refused", err)
		socket.Close(fault.KindOf(err).CloseCode(), fault.ReasonOf(err))
	}
}

// visit runs the session that the request asks for. An error means that there was none.
func (d *door) visit(ctx context.Context, id string, socket *wire.Socket, r *http.Request) error {
	params, decoders, err := d.admit(ctx, r)
	if err != nil {
		return err
	}
	params.ID = id
	ctx = logging.With(ctx, slog.String("uid", params.UID), slog.String("device", params.Device))
	if !d.sessions.Run(ctx, session.New(params, socket, decoders, d.recognizer, d.store, d.publisher)) {
		return fault.Newf(fault.Overloaded, "run session", "no room for another session: try again later")
	}
	return nil
}

// admit checks who the client is and whether what it asks for can be had.
func (d *door) admit(ctx context.Context, r *http.Request) (session.Params, []session.Decoder, error) {
	token, err := auth.Bearer(r)
	if err != nil {
		return session.Params{}, nil, err
	}
	uid, _, err := d.users.Verify(ctx, token)
	if err != nil {
		return session.Params{}, nil, err
	}
	profile, err := d.profiles.Get(ctx, uid)
	if fault.Is(err, fault.NotFound) {
		return session.Params{}, nil, fault.Newf(fault.Unauthenticated, "read profile", "unknown user")
	}
	if err != nil {
		return session.Params{}, nil, fault.Wrap("read profile", err)
	}
	q := wire.ParseQuery(r.URL.Query(), d.minSilence)
	decoders := make([]session.Decoder, q.Channels)
	for i := range decoders {
		if decoders[i], err = audio.NewDecoder(audio.Codec(q.Codec), q.SampleRate); err != nil {
			return session.Params{}, nil, fault.Newf(fault.Unsupported, "open decoder", "%v", err)
		}
	}
	device, shared := device(r, q)
	params := session.Params{
		UID: uid, Device: device, Shared: shared, Source: q.Source, Language: language(q, profile),
		ClientConversationID: q.ClientConversationID, SilenceTimeout: q.ConversationTimeout,
		Vocabulary: profile.Vocabulary, Interim: q.Interim, Numbered: q.Acknowledge,
	}
	if !d.recognizer.Supports(params.Language) {
		err := fault.Newf(fault.Invalid, "choose recognizer", "no recogniser for language %q", params.Language)
		return session.Params{}, nil, err
	}
	return params, decoders, nil
}

// deviceID is what may be the name of a document.
var deviceID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// device keeps apart what one person speaks into. Where only the source tells, several may share it.
func device(r *http.Request, q wire.Query) (name string, shared bool) {
	if id := r.Header.Get("X-Device-Id-Hash"); deviceID.MatchString(id) {
		return id, false
	}
	return q.Source, true
}

// language is what the client names, else the profile, else English.
func language(q wire.Query, p account.Profile) string {
	for _, l := range []string{q.Language, p.Language} {
		if l != "" {
			return l
		}
	}
	return "en"
}
