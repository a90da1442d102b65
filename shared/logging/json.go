package logging

import (
	"encoding/json"
	"log/slog"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendKey adds the name of a member of an object, after a comma where it is not the first.
func appendKey(b []byte, key string) []byte {
	if len(b) == 0 || b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = appendString(b, key)
	return append(b, ':')
}

// appendGroups opens objects within each other.
func appendGroups(b []byte, names []string) []byte {
	for _, name := range names {
		b = appendKey(b, name)
		b = append(b, '{')
	}
	return b
}

// appendMember adds a member of an object; nothing for an attribute that is empty.
func appendMember(b []byte, a slog.Attr) []byte {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		return appendGroup(b, a.Key, value.Group())
	}
	if a.Equal(slog.Attr{}) {
		return b
	}
	return appendValue(appendKey(b, a.Key), value)
}

// appendGroup adds a group as an object; one without a name as members; an empty one not at all.
func appendGroup(b []byte, name string, attrs []slog.Attr) []byte {
	before := len(b)
	if name != "" {
		b = append(appendKey(b, name), '{')
	}
	opened := len(b)
	for _, a := range attrs {
		b = appendMember(b, a)
	}
	switch {
	case len(b) == opened:
		return b[:before]
	case name != "":
		return append(b, '}')
	default:
		return b
	}
}

// appendValue adds a value that is no group. Durations are in seconds, with a fraction.
func appendValue(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindString:
		return appendString(b, v.String())
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindFloat64:
		return appendFloat(b, v.Float64())
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	case slog.KindDuration:
		return appendFloat(b, v.Duration().Seconds())
	case slog.KindTime:
		b = append(b, '"')
		b = v.Time().AppendFormat(b, time.RFC3339Nano)
		return append(b, '"')
	default:
		return appendAny(b, v.Any())
	}
}

func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) { // JSON has no number for them
		return appendString(b, strconv.FormatFloat(f, 'g', -1, 64))
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

func appendAny(b []byte, value any) []byte {
	if err, ok := value.(error); ok {
		return appendString(b, err.Error())
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return appendString(b, "!"+err.Error())
	}
	return append(b, encoded...)
}

// appendString adds s as a JSON string. What is no UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r >= utf8.RuneSelf && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			if c >= utf8.RuneSelf {
				b = append(b, `\ufffd`...)
			} else {
				b = append(b, `\u00`...)
				b = append(b, hex[c>>4], hex[c&0xF])
			}
		}
		i += size
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
