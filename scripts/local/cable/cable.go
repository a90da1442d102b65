// Package cable is a bad network: a TCP proxy whose connections are cut, hang and are slow, at random from a seed.
package cable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Faults are what happens to a connection. The zero value is a good network. What happens to the n-th connection, and
// when, follows from the seed and n alone.
type Faults struct {
	Seed  uint64
	Cut   time.Duration // mean of a connection's life, which is distributed exponentially; 0: nothing is cut
	Stall time.Duration // mean time between two stalls, in which nothing comes through, likewise
	Hang  time.Duration // the longest that a stall lasts; one in four ends in a cut
	Delay time.Duration // the longest that a piece of data is on its way, each direction; the order is kept
}

// Cable takes connections and passes them on.
type Cable struct {
	to       func() (addr string, err error)
	faults   Faults
	listener net.Listener
	ctx      context.Context //nolint:containedctx // of everything that Close ends
	cancel   context.CancelFunc
	running  sync.WaitGroup

	calm                      atomic.Bool
	connections, cuts, stalls atomic.Int64
}

// Figures count what has happened.
type Figures struct{ Connections, Cuts, Stalls int64 }

func (f Figures) String() string {
	return fmt.Sprintf("%d connections, %d cut, %d stalls", f.Connections, f.Cuts, f.Stalls)
}

// Lay opens a cable on a free port of the loopback address. Each connection goes to the address that to gives then.
func Lay(ctx context.Context, to func() (addr string, err error), f Faults) (*Cable, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Cable{to: to, faults: f, listener: listener}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.running.Go(c.accept)
	return c, nil
}

// Addr is host:port.
func (c *Cable) Addr() string { return c.listener.Addr().String() }

// Calm ends the faults. What hangs goes on.
func (c *Cable) Calm() { c.calm.Store(true) }

// Figures gives the counts so far.
func (c *Cable) Figures() Figures {
	return Figures{c.connections.Load(), c.cuts.Load(), c.stalls.Load()}
}

// Close cuts everything.
func (c *Cable) Close() error {
	err := c.listener.Close()
	c.cancel()
	c.running.Wait()
	return err
}

func (c *Cable) accept() {
	for n := uint64(1); ; n++ {
		near, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the one that came has gone again
		}
		c.connections.Add(1)
		c.running.Go(func() { c.connect(near, n) })
	}
}

// connect lives one connection.
func (c *Cable) connect(near net.Conn, n uint64) {
	defer func() { _ = near.Close() }() // of no more use
	addr, err := c.to()
	if err != nil {
		return // nobody is there: the client sees that its connection ends
	}
	var dialer net.Dialer
	far, err := dialer.DialContext(c.ctx, "tcp", addr)
	if err != nil {
		return // likewise
	}
	defer func() { _ = far.Close() }() // likewise
	l := &line{cable: c, flows: make(chan struct{})}
	close(l.flows)
	ctx, cut := context.WithCancel(c.ctx)
	defer cut()
	defer context.AfterFunc(ctx, func() {
		_ = near.SetDeadline(time.Unix(1, 0)) // fails for one that is closed
		_ = far.SetDeadline(time.Unix(1, 0))  // likewise
	})()
	var both sync.WaitGroup
	for i, way := range []struct{ from, to net.Conn }{{near, far}, {far, near}} {
		random := rand.New(rand.NewPCG(c.faults.Seed, n<<2|uint64(i)))
		both.Go(func() {
			defer cut()
			l.carry(ctx, way.from, way.to, random)
		})
	}
	both.Go(func() {
		defer cut()
		l.misfortune(ctx, rand.New(rand.NewPCG(c.faults.Seed, n<<2|2)))
	})
	both.Wait()
}

// line is a connection.
type line struct {
	cable *Cable
	mu    sync.Mutex
	flows chan struct{} // closed while data flows
}

// carry passes data on in one direction, until either end is gone or the line is cut.
func (l *line) carry(ctx context.Context, from io.Reader, to io.Writer, random *rand.Rand) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if limit := l.cable.faults.Delay; limit > 0 && !l.cable.calm.Load() {
			wait(ctx, time.Duration(random.Int64N(int64(limit))))
		}
		l.mu.Lock()
		flows := l.flows
		l.mu.Unlock()
		select {
		case <-flows:
		case <-ctx.Done():
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// misfortune stalls the line from time to time, and returns when it is to be cut.
func (l *line) misfortune(ctx context.Context, random *rand.Rand) {
	f := l.cable.faults
	end := never
	if f.Cut > 0 {
		end = after(random, f.Cut)
	}
	for {
		next := never
		if f.Stall > 0 {
			next = after(random, f.Stall)
		}
		wait(ctx, min(next, end))
		if ctx.Err() != nil {
			return
		}
		if l.cable.calm.Load() {
			<-ctx.Done()
			return
		}
		if end <= next {
			l.cable.cuts.Add(1)
			return
		}
		end -= next
		l.cable.stalls.Add(1)
		l.stall(ctx, time.Duration(random.Int64N(int64(f.Hang))))
		if random.IntN(4) == 0 {
			l.cable.cuts.Add(1)
			return
		}
	}
}

// never is later than anything that is tested.
const never = 24 * time.Hour

func after(random *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(random.ExpFloat64() * float64(mean))
}

func (l *line) stall(ctx context.Context, d time.Duration) {
	flows := make(chan struct{})
	l.mu.Lock()
	l.flows = flows
	l.mu.Unlock()
	wait(ctx, d)
	close(flows)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
