package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"earshot.dev/functions/listen/audio"
	"earshot.dev/functions/listen/session"
	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/wire"
	"earshot.dev/shared/account"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/cached"
	"earshot.dev/shared/conversation"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/tracing"
	"earshot.dev/shared/usage"
)

// door lets clients in: it finds out who they are and what they speak, and hands them to a session. Clients see
// a refused upgrade only as a failure, so whoever comes is accepted, and refused with a close code.
type door struct {
	users      *auth.Users
	recognizer stt.Recognizer
	store      session.Store
	read       *cached.Reader
	publisher  session.Publisher
	sessions   *session.Registry
	limits     limits
}

// app is the door of clients that bring their token in a header.
func (d *door) app(w http.ResponseWriter, r *http.Request) {
	d.open(w, r, func(ctx context.Context, _ *wire.Socket) (visitor, error) {
		token, err := auth.Bearer(r)
		if err != nil {
			return visitor{}, err
		}
		return d.bearer(ctx, token)
	})
}

// tokenWithin is how long a web client has to say who it is.
const tokenWithin = 5 * time.Second

// web is the door of browsers, which can't set headers: the token is the first frame.
func (d *door) web(w http.ResponseWriter, r *http.Request) {
	d.open(w, r, func(ctx context.Context, socket *wire.Socket) (visitor, error) {
		late := time.AfterFunc(tokenWithin, func() {
			socket.Close(fault.Unauthenticated.CloseCode(), "no token within 5 s")
		})
		_, frame, err := socket.Read()
		if !late.Stop() || err != nil {
			return visitor{}, fault.New(fault.Unauthenticated, "read token", err)
		}
		token, ok := wire.ParseAuth(frame)
		if !ok {
			return visitor{}, fault.Newf(fault.Unauthenticated, "read token", "the first frame is no token")
		}
		v, err := d.bearer(ctx, token)
		if err != nil && !refuses(err) {
			return visitor{}, err // the token may be good
		}
		if told := socket.Write(ctx, wire.AuthResponse(err == nil)); err == nil && told != nil {
			return visitor{}, fault.New(fault.Unavailable, "answer token", told)
		}
		return v, err
	})
}

// visitor is who a token says they are, and what is known of them.
type visitor struct {
	uid     string
	profile account.Profile
}

// bearer finds out whose token that is, and whether it still is good.
func (d *door) bearer(ctx context.Context, token string) (visitor, error) {
	uid, signedIn, err := d.users.Verify(ctx, token)
	if err != nil {
		return visitor{}, err
	}
	profile, err := d.read.Admit(ctx, uid, signedIn)
	return visitor{uid, profile}, err
}

// refuses reports whether a token doesn't hold, or not any more; a fault of ours says nothing of it.
func refuses(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unauthenticated, fault.Expired, fault.Revoked, fault.Forbidden, fault.NotFound:
		return true
	default:
		return false
	}
}

// identify finds out who a client is.
type identify func(context.Context, *wire.Socket) (visitor, error)

// open is one client's visit, from the upgrade to the close.
func (d *door) open(w http.ResponseWriter, r *http.Request, identify identify) {
	socket, err := wire.Accept(w, r, d.limits.FrameBytes)
	if err != nil {
		logging.Error(r.Context(), "upgrade_refused", fault.New(fault.Invalid, "open socket", err))
		return
	}
	defer socket.Drop() // what panics says no goodbye
	id := uuid.NewString()
	// This span ends when the client is let in, not an hour later; what comes after it in the session is below it.
	ctx, span := otel.Tracer("earshot.dev/functions/listen").Start(r.Context(), "admit", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("session_id", id)))
	ctx = logging.WithTrace(logging.With(ctx, append(appFields(r), slog.String("session_id", id))...))
	v, err := identify(ctx, socket)
	if err == nil {
		err = d.visit(ctx, id, v, socket, r)
	}
	if err != nil {
		tracing.End(span, err)
		logging.Error(ctx, "session_refused", err)
		socket.Close(fault.KindOf(err).CloseCode(), fault.ReasonOf(err))
	}
}

// visit runs the session that the request asks for. An error means that there was none.
func (d *door) visit(ctx context.Context, id string, v visitor, socket *wire.Socket, r *http.Request) error {
	params, decoders, err := d.admit(ctx, v, r)
	if err != nil {
		return err
	}
	trace.SpanFromContext(ctx).End()
	params.ID = id
	ctx = logging.With(ctx, slog.String("uid", params.UID), slog.String("device", params.Device))
	return d.sessions.Run(ctx, session.New(params, socket, decoders, d.recognizer, d.store, d.publisher))
}

// admit checks whether what the client asks for can be had.
func (d *door) admit(ctx context.Context, v visitor, r *http.Request) (session.Params, []session.Decoder, error) {
	q := wire.ParseQuery(r.URL.Query(), d.limits.MinSilence)
	decoders, err := openDecoders(q)
	if err != nil {
		return session.Params{}, nil, err
	}
	language, err := language(q, v.profile)
	if err != nil {
		return session.Params{}, nil, err
	}
	device, shared := device(r, q)
	params := session.Params{
		UID: v.uid, Device: device, Shared: shared, Source: q.Source, Language: language,
		ClientConversationID: q.ClientConversationID, SilenceTimeout: q.ConversationTimeout,
		Vocabulary: v.profile.Vocabulary, Interim: q.Interim, Numbered: q.Acknowledge, CustomSTT: q.CustomSTT,
		FramesPerSecond: d.limits.FramesPerSecond, MaxBytes: d.limits.SessionBytes, MaxImages: d.limits.Images,
		Age: d.limits.SessionAge, Idle: d.limits.SessionIdle,
	}
	if !q.CustomSTT && !d.recognizer.Supports(params.Language) {
		err := fault.Newf(fault.Invalid, "choose recognizer", "no recogniser for language %q", params.Language)
		return session.Params{}, nil, err
	}
	params.Allowance = d.allowance(ctx, v.uid, v.profile)
	params.Append, params.Relay = d.overheard(ctx, v.uid)
	return params, decoders, nil
}

// openDecoders makes one for each channel. Numbered frames are apart: after a cut or a gap the one before isn't there.
func openDecoders(q wire.Query) ([]session.Decoder, error) {
	decoders := make([]session.Decoder, q.Channels)
	for i := range decoders {
		d, err := audio.NewDecoder(audio.Codec(q.Codec), q.SampleRate)
		if err != nil {
			return nil, fault.Newf(fault.Unsupported, "open decoder", "%v", err)
		}
		if q.Acknowledge {
			d.Separate()
		}
		decoders[i] = d
	}
	return decoders, nil
}

// allowance is what is left of the speech that the user's plan has recognised this month; nil: there is no limit, or
// it can't be known now, which is no reason to let nobody in.
func (d *door) allowance(ctx context.Context, uid string, p account.Profile) *time.Duration {
	plan := account.PlanOf(p)
	if plan.Transcription == 0 {
		return nil
	}
	month := usage.Month(time.Now())
	months, err := d.read.Months(ctx, uid, month, month)
	if err != nil {
		logging.Error(ctx, "allowance_not_read", err)
		return nil
	}
	left := plan.Transcription
	for _, m := range months {
		left -= time.Duration(m.SpeechMS) * time.Millisecond
	}
	return &left
}

// overheard reports whether the user has words told as they come, and audio, in stretches of how long; 0: not. It is read
// once: a webhook that is enabled is told of the next session, and what one that was disabled isn't to be told
// functions/integrations knows. That it can't be known is no reason to let nobody in: words that aren't told now are told
// when the conversation is finished.
func (d *door) overheard(ctx context.Context, uid string) (words bool, audio time.Duration) {
	hooks, err := d.read.Webhooks(ctx, uid)
	if err != nil {
		logging.Error(ctx, "webhooks_not_read", err)
	}
	wanted := func(t account.WebhookType) bool { return hooks[t].Enabled && hooks[t].URL != "" }
	if wanted(account.AudioBytes) {
		_, audio = hooks[account.AudioBytes].Audio()
	}
	return wanted(account.RealtimeTranscript), audio
}

// device keeps apart what one person speaks into. A browser can set no header, and says it in the query. Where only the source
// tells, several may share it, but not those that number their audio: what is acknowledged is so to the device.
func device(r *http.Request, q wire.Query) (name string, shared bool) {
	for _, id := range []string{r.Header.Get("X-Device-Id-Hash"), q.Device} {
		if conversation.ValidName(id) {
			return id, false
		}
	}
	return q.Source, !q.Acknowledge
}

// appText is what is logged of what an app says of itself: short, and printable.
var appText = regexp.MustCompile(`^[ -~]{1,64}$`)

// appFields is what the client says that it is, for the log.
func appFields(r *http.Request) []slog.Attr {
	var fields []slog.Attr
	for _, name := range []string{"platform", "version"} {
		if text := r.Header.Get("X-App-" + name); appText.MatchString(text) {
			fields = append(fields, slog.String("app_"+name, text))
		}
	}
	return fields
}

// languageTag is the form of a BCP 47 code (RFC 5646, whose section 4.4.1 has the length). Some clients say en_US.
var languageTag = regexp.MustCompile(`^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$`)

const maxLanguage = 35

// language is what the client names, else the profile, else English. It is stored with the words, and so must look like one
// even where the client recognises by itself, and no recogniser is asked.
func language(q wire.Query, p account.Profile) (string, error) {
	if q.Language != "" && (len(q.Language) > maxLanguage || !languageTag.MatchString(q.Language)) {
		return "", fault.Newf(fault.Invalid, "choose language", "the language is no BCP 47 code")
	}
	return cmp.Or(q.Language, p.Language, "en"), nil
}
