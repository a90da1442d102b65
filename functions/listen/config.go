package main

import (
	"time"

	"github.com/caarlos0/env/v11"

	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/shared/auth"
	"earshot.dev/shared/logging"
	"earshot.dev/shared/redisclient"
	"earshot.dev/shared/server"
	"earshot.dev/shared/telemetry"
)

type config struct {
	Server    server.Config
	Logging   logging.Config
	Auth      auth.Config
	Redis     redisclient.Config
	Telemetry telemetry.Config

	ProjectID string `env:"PROJECT_ID,required"`

	// Recognizers says which are tried, the most wanted first, by language: failover.Order has the format.
	Recognizers failover.Order `env:"RECOGNIZERS" envDefault:"deepgram"`

	// DeepgramURLs are servers that speak Deepgram's protocol, with commas between, the most wanted first.
	DeepgramURLs   []string `env:"DEEPGRAM_URL" envDefault:"wss://api.deepgram.com/v1/listen"`
	DeepgramAPIKey string   `env:"DEEPGRAM_API_KEY"` // required where deepgram is one of the recognisers
	DeepgramModel  string   `env:"DEEPGRAM_MODEL" envDefault:"nova-3"`
	// DeepgramLanguages are those that the model understands, with commas between; empty: those of Nova-3.
	DeepgramLanguages []string `env:"DEEPGRAM_LANGUAGES"`

	// GoogleSpeech is used where google is one of the recognisers.
	GoogleSpeech struct {
		Location   string `env:"LOCATION" envDefault:"global"`
		Recognizer string `env:"RECOGNIZER" envDefault:"_"`
		Model      string `env:"MODEL" envDefault:"long"`
		// Languages are those that the model understands there, with commas between; empty: those of long in global.
		Languages []string `env:"LANGUAGES"`
		// Multi are the languages of a conversation in several; empty: auto where the model has that.
		Multi       []string `env:"MULTI"`
		Diarization bool     `env:"DIARIZATION"` // the model must be able to tell speakers apart in streams
	} `envPrefix:"GOOGLE_SPEECH_"`

	Limits limits
}

// limits are what clients may do.
type limits struct {
	// MinSilence is the shortest conversation_timeout; clients count on 2 min.
	MinSilence time.Duration `env:"MIN_CONVERSATION_TIMEOUT" envDefault:"2m"`

	Sessions        int   `env:"MAX_SESSIONS" envDefault:"300"`            // at a time, in this instance
	UserSessions    int   `env:"MAX_SESSIONS_PER_USER" envDefault:"8"`     // likewise
	FrameBytes      int64 `env:"MAX_FRAME_BYTES" envDefault:"65536"`       // over it a client is closed with 1009
	FramesPerSecond int   `env:"MAX_FRAMES_PER_SECOND" envDefault:"1000"`  // over it frames are read no faster
	SessionBytes    int64 `env:"MAX_SESSION_BYTES" envDefault:"536870912"` // over it a client has to connect again
	Images          int   `env:"MAX_SESSION_IMAGES" envDefault:"100"`      // over it they are ignored

	// SessionAge is when a session ends in the next pause of speech, and its client comes again. Cloud Run gives it an hour.
	SessionAge time.Duration `env:"SESSION_AGE" envDefault:"55m"`
	// SessionIdle is how long a client may send no frame.
	SessionIdle time.Duration `env:"SESSION_IDLE" envDefault:"90s"`
}

func readConfig() (config, error) { return env.ParseAs[config]() }
