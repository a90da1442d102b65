package googlespeech

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	speech "cloud.google.com/go/speech/apiv2"
	"cloud.google.com/go/speech/apiv2/speechpb"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/replay"
)

const (
	// keep is how much audio that isn't final is kept for the next call.
	keep = 45 * time.Second
	// backlog is how many results wait for Recv before no more are taken from the service.
	backlog = 32
)

// stream is a row of calls. Who sends puts audio on the tape; one goroutine, run, makes the calls.
type stream struct {
	client  *speech.Client
	first   *speechpb.StreamingRecognizeRequest // of each call
	silence time.Duration
	results chan stt.Result
	life    context.Context // ends with Close
	quit    context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	grown *sync.Cond // the tape has more, or there is another reason to look
	tape  *replay.Tape

	ended chan struct{} // closed by run when it returns, after it has set err
	err   error         // why there are no more results; valid once ended is closed
}

func newStream(ctx context.Context, client *speech.Client, first *speechpb.StreamingRecognizeRequest, rate int, silence time.Duration) *stream {
	s := &stream{
		client: client, first: first, silence: silence,
		results: make(chan stt.Result, backlog),
		tape:    replay.NewTape(rate, keep),
		ended:   make(chan struct{}),
	}
	s.grown = sync.NewCond(&s.mu)
	s.life, s.quit = context.WithCancel(ctx)
	s.running.Go(func() {
		defer close(s.ended)
		defer context.AfterFunc(s.life, s.wake)()
		s.err = s.run()
		if s.life.Err() != nil {
			s.err = net.ErrClosed
		}
	})
	return s
}

func (s *stream) Send(_ context.Context, pcm []byte) error {
	return s.change(func() { s.tape.Add(pcm) })
}

func (s *stream) Finalize(context.Context) error { return s.change(s.tape.Finalize) }

func (s *stream) CloseSend(context.Context) error { return s.change(s.tape.Close) }

func (s *stream) change(how func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.ended:
		return s.err
	default:
	}
	if s.tape.Closed() {
		return errors.New("googlespeech: sent after CloseSend")
	}
	how()
	s.grown.Broadcast()
	return nil
}

func (s *stream) Recv(ctx context.Context) (stt.Result, error) {
	select {
	case r := <-s.results:
		return r, nil
	default:
	}
	select {
	case r := <-s.results:
		return r, nil
	case <-ctx.Done():
		return stt.Result{}, ctx.Err()
	case <-s.ended:
	}
	select { // what came before the end comes first
	case r := <-s.results:
		return r, nil
	default:
		return stt.Result{}, s.err
	}
}

// Close gives nil.
func (s *stream) Close() error {
	s.quit()
	s.running.Wait()
	return nil
}

// wake has those look again who wait for the tape.
func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grown.Broadcast()
}

// run makes one call after another for as long as there is audio that isn't final.
func (s *stream) run() error {
	for s.await() {
		if err := s.call(); err != nil {
			return err
		}
	}
	return io.EOF
}

// await waits until there is audio that isn't final. It reports false when there will be none, or the stream is
// closed.
func (s *stream) await() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.life.Err() == nil {
		if s.tape.Open() > 0 {
			return true
		}
		if s.tape.Closed() {
			return false
		}
		s.grown.Wait()
	}
	return false
}

// settle places a result on the tape and gives it to whoever receives.
func (s *stream) settle(head *replay.Head, r stt.Result) {
	s.mu.Lock()
	r, ok := head.Place(r)
	if ok && r.Final {
		s.tape.Settle(r)
	}
	s.mu.Unlock()
	if !ok {
		return
	}
	select {
	case s.results <- r:
	case <-s.life.Done():
	}
}
