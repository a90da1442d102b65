package googlespeech_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/speech/apiv2/speechpb"
	"go.uber.org/goleak"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/googlespeech"
	"earshot.dev/functions/listen/stt/stttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is Speech-to-Text as documented, limits and their texts included, for audio that holds its words.
type service struct {
	speechpb.UnimplementedSpeechServer

	// act replaces what a call does, if it is set and returns true.
	act func(call int, rpc speechpb.Speech_StreamingRecognizeServer) (bool, error)

	mu      sync.Mutex
	configs []*speechpb.StreamingRecognizeRequest
	audio   time.Duration // in all calls
	longest time.Duration // of a call
	refused []error       // what was against the limits
}

// The documented limits.
const (
	maxCall    = 5 * time.Minute
	maxMessage = 25600 // bytes
	maxIdle    = 10 * time.Second
	maxAhead   = time.Minute // how much faster than real time audio may come; it says "approximates real time"
)

func (s *service) StreamingRecognize(rpc speechpb.Speech_StreamingRecognizeServer) error {
	begun := time.Now()
	first, err := rpc.Recv()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.configs = append(s.configs, first)
	number := len(s.configs)
	s.mu.Unlock()
	if err := checkConfig(first); err != nil {
		return s.refuse(err)
	}
	if s.act != nil {
		if done, err := s.act(number, rpc); done {
			return err
		}
	}
	err = s.recognize(rpc, begun)
	s.mu.Lock()
	s.longest = max(s.longest, time.Since(begun))
	s.mu.Unlock()
	return err
}

// refuse keeps an error that the client should never have met.
func (s *service) refuse(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, err)
	return err
}

func checkConfig(m *speechpb.StreamingRecognizeRequest) error {
	c := m.GetStreamingConfig().GetConfig()
	parts := strings.Split(m.GetRecognizer(), "/")
	switch {
	case c == nil:
		return status.Error(codes.InvalidArgument, "The first message must contain a streaming_config.")
	case len(parts) != 6 || parts[0] != "projects" || parts[2] != "locations" || parts[4] != "recognizers":
		return status.Errorf(codes.InvalidArgument, "Invalid resource name %q", m.GetRecognizer())
	case c.GetModel() == "" || len(c.GetLanguageCodes()) == 0:
		return status.Error(codes.InvalidArgument, "The model and the language codes must be set.")
	case c.GetExplicitDecodingConfig().GetSampleRateHertz() != stttest.Rate:
		return status.Error(codes.InvalidArgument, "Invalid sample rate.")
	}
	return nil
}

// recognize hears the words of a call, and ends it where it is against the limits.
func (s *service) recognize(rpc speechpb.Speech_StreamingRecognizeServer, begun time.Time) error {
	messages := make(chan *speechpb.StreamingRecognizeRequest)
	ended := make(chan error, 1)
	go func() {
		for {
			m, err := rpc.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case messages <- m:
			case <-rpc.Context().Done():
			}
		}
	}()
	var ear stttest.Ear
	var heard, shown time.Duration
	over, idle := time.After(maxCall), time.NewTimer(maxIdle)
	defer idle.Stop()
	for {
		select {
		case m := <-messages:
			idle.Reset(maxIdle)
			audio := m.GetAudio()
			heard += time.Duration(len(audio)/2) * time.Second / stttest.Rate
			switch {
			case len(audio) == 0:
				return s.refuse(status.Error(codes.InvalidArgument, "All messages but the first must contain audio."))
			case len(audio) > maxMessage:
				return s.refuse(status.Errorf(codes.InvalidArgument,
					"Audio chunk can be of a maximum of %d bytes. Received audio of %d bytes instead.", maxMessage, len(audio)))
			case heard > time.Since(begun)+maxAhead:
				return s.refuse(status.Error(codes.OutOfRange, "Audio should be sent close to real time."))
			}
			s.mu.Lock()
			s.audio += time.Duration(len(audio)/2) * time.Second / stttest.Rate
			s.mu.Unlock()
			final, ok := ear.Hear(audio)
			if err := answer(rpc, final, ok); err != nil {
				return err
			}
			if heard-shown >= 500*time.Millisecond {
				shown = heard
				if err := answer(rpc, ear.Interim(), true); err != nil {
					return err
				}
			}
		case err := <-ended:
			if !errors.Is(err, io.EOF) {
				return err
			}
			return answer(rpc, ear.Flush(), true)
		case <-over:
			return s.refuse(status.Error(codes.Aborted, "Max duration of 5 minutes reached for stream."))
		case <-idle.C:
			return s.refuse(status.Error(codes.Aborted, "Stream timed out after receiving no more client requests."))
		case <-rpc.Context().Done():
			return rpc.Context().Err()
		}
	}
}

// answer sends a result as the service does: nothing where there are no words, times of words only in finals, and
// interim results in two parts, one stable and one not.
func answer(rpc speechpb.Speech_StreamingRecognizeServer, r stt.Result, ok bool) error {
	if !ok || len(r.Words) == 0 {
		return nil
	}
	response := &speechpb.StreamingRecognizeResponse{}
	part := func(words []stt.Word, end time.Duration) {
		alternative := &speechpb.SpeechRecognitionAlternative{}
		for _, w := range words {
			alternative.Transcript += " " + w.Text
			if r.Final {
				alternative.Words = append(alternative.Words, &speechpb.WordInfo{
					Word: w.Text, StartOffset: durationpb.New(w.Start), EndOffset: durationpb.New(w.End),
				})
			}
		}
		response.Results = append(response.Results, &speechpb.StreamingRecognitionResult{
			Alternatives: []*speechpb.SpeechRecognitionAlternative{alternative}, IsFinal: r.Final, ResultEndOffset: durationpb.New(end),
		})
	}
	if n := len(r.Words); n > 1 && !r.Final {
		part(r.Words[:n-1], r.Words[n-2].End)
		part(r.Words[n-1:], r.End)
	} else {
		part(r.Words, r.End)
	}
	return rpc.Send(response)
}

// serve runs the service, and gives a recogniser that reaches it over a connection of its own.
func serve(t testing.TB, s *service, c googlespeech.Config) *googlespeech.Recognizer {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	speechpb.RegisterSpeechServer(server, s)
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	conn, err := grpc.NewClient("passthrough:///speech", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	if c.Project == "" {
		c.Project = "p"
	}
	r, err := googlespeech.New(t.Context(), c, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		server.Stop()
		running.Wait()
	})
	return r
}
