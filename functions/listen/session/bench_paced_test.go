package session

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sys/unix"

	"earshot.dev/functions/listen/wire"
)

const (
	hostAddress = "EARSHOT_BENCH_HOST" // of devices: where they connect to

	pacedSessions = 200
	pacedPackets  = 250 // of each
)

// BenchmarkPaced is the time of the CPU that an Opus packet of 20 ms costs where it comes when it is said, of 200 devices: one
// packet at a time, for which a process wakes up, and not all that fit into a buffer as in BenchmarkFrame. The kernel's
// time is in it, that of the devices isn't. bare reads, with the library alone; decode reads and decodes; session has a
// recogniser that costs nothing, and recognised that of production.
func BenchmarkPaced(b *testing.B) {
	listening := func(b *testing.B, hear func(packet []byte) error) http.HandlerFunc {
		b.Helper()
		return bare(b, func(ctx context.Context, conn *websocket.Conn) {
			if err := conn.Write(ctx, websocket.MessageText, wire.Status(wire.Ready)); err != nil {
				b.Error(err)
			}
			for {
				_, packet, err := conn.Read(ctx)
				if err != nil {
					return
				}
				if err := hear(packet); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.Run("bare", func(b *testing.B) {
		pace(b, listening(b, func([]byte) error { return nil }))
	})
	b.Run("decode", func(b *testing.B) {
		pace(b, func(w http.ResponseWriter, r *http.Request) {
			decoder := opus(b)
			var pcm []int16
			listening(b, func(packet []byte) (err error) {
				pcm, err = decoder.Decode(pcm[:0], packet)
				return err
			})(w, r)
		})
	})
	b.Run("session", func(b *testing.B) {
		pace(b, func(w http.ResponseWriter, r *http.Request) { converse(b, w, r, opus(b), newFree()) })
	})
	b.Run("recognised", func(b *testing.B) {
		recognizer := production(b)
		pace(b, func(w http.ResponseWriter, r *http.Request) { converse(b, w, r, opus(b), recognizer) })
	})
}

// pace has devices visit, and reports what a packet of theirs costs.
func pace(b *testing.B, visit http.HandlerFunc) {
	b.Helper()
	for b.Loop() {
		h := serve(b, visit)
		others := play(b, asDevices, hostAddress+"="+h.address())
		others.hear() // they are connected
		before := cpu(b)
		others.tell()
		others.hear() // they have said all
		b.ReportMetric(float64(cpu(b)-before)/(pacedSessions*pacedPackets), "cpu-ns/frame")
		others.tell()
		h.close()
	}
}

// devices connect, and say so; when they are told to, each sends a packet each 20 ms, and none at the same time as another.
// They say when they are done, and stay until they are told to go.
func devices(address string) error {
	packets, err := recorded()
	if err != nil {
		return err
	}
	frames := framed(packets)
	peers := make([]*peer, pacedSessions)
	for i := range peers {
		if peers[i], err = connect(context.Background(), address); err != nil {
			return err
		}
		if err := peers[i].ready(); err != nil {
			return err
		}
		go peers[i].ignore()
	}
	commands := bufio.NewReader(os.Stdin)
	step := func() error {
		_, said := os.Stdout.WriteString("\n")
		_, err := commands.ReadString('\n')
		return errors.Join(said, err)
	}
	if err := step(); err != nil {
		return err
	}
	next := time.Now()
	for i := range pacedPackets * len(peers) {
		if err := rest(time.Until(next)); err != nil {
			return err
		}
		next = next.Add(20 * time.Millisecond / pacedSessions)
		if err := peers[i%len(peers)].send(frames[i/len(peers)%len(frames):], 1); err != nil {
			return err
		}
	}
	return step()
}

// rest sleeps for less than a millisecond, which Go's timers don't.
func rest(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	until := unix.NsecToTimeval(d.Nanoseconds())
	if _, err := unix.Select(0, nil, nil, nil, &until); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	return nil
}

// cpu is the time that this process has been running for, in the kernel too.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
