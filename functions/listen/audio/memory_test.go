package audio_test

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"

	"earshot.dev/functions/listen/audio"
)

// BenchmarkMemory says what a decoder holds on to once it has decoded its stream: of Go's heap, and of the process,
// which is where C libraries have theirs (pages, shared with the allocator's slack).
func BenchmarkMemory(b *testing.B) {
	const decoders = 200
	for _, tt := range packets(b) {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				all := make([]*audio.Decoder, decoders)
				heap, resident := heapBytes(), residentBytes(b)
				for i := range all {
					all[i] = newDecoder(b, tt.codec, tt.rate)
					var dst []int16
					for _, p := range tt.packets {
						var err error
						if dst, err = all[i].Decode(dst[:0], p); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(heapBytes()-heap)/decoders, "heap-B/decoder")
				b.ReportMetric(float64(residentBytes(b)-resident)/decoders, "resident-B/decoder")
				runtime.KeepAlive(all)
			}
		})
	}
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what cleanups let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// residentBytes is 0 where there is no /proc.
func residentBytes(b *testing.B) int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.ParseInt(string(bytes.Fields(statm)[1]), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
