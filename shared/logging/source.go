package logging

import (
	"runtime"
	"strconv"
	"sync"
)

// sources keeps what the lines say of the places that they were logged at: to look one up takes as long as all the
// rest of a line, and there are only as many as the program has calls.
type sources struct {
	mu      sync.RWMutex
	encoded map[uintptr][]byte // by program counter
}

// append adds the LogEntrySourceLocation of a program counter, and nothing for 0.
func (s *sources) append(b []byte, pc uintptr) []byte {
	if pc == 0 {
		return b
	}
	s.mu.RLock()
	encoded, ok := s.encoded[pc]
	s.mu.RUnlock()
	if !ok {
		encoded = encodeSource(pc)
		s.mu.Lock()
		if s.encoded == nil {
			s.encoded = make(map[uintptr][]byte)
		}
		s.encoded[pc] = encoded
		s.mu.Unlock()
	}
	return append(b, encoded...)
}

// encodeSource gives the member of a line. In it the line number is a string, as an int64 is in JSON.
func encodeSource(pc uintptr) []byte {
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	b := append([]byte{','}, sourceField...)
	b = appendString(b, frame.File)
	b = append(b, `,"line":"`...)
	b = strconv.AppendInt(b, int64(frame.Line), 10)
	b = append(b, `","function":`...)
	b = appendString(b, frame.Function)
	return append(b, '}')
}
