package googlespeech

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/speech/apiv2/speechpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"earshot.dev/functions/listen/stt"
)

// longest is more than any call lasts; a time beyond it is rubbish.
const longest = time.Hour

// parse reads a response: a final, if it has one, and what is heard after that, if that is said. Offsets are those of
// the call; the results begin where the last final ended. Its error is an *stt.Error.
func parse(response *speechpb.StreamingRecognizeResponse, begin time.Duration) ([]stt.Result, error) {
	var results []stt.Result
	interim := stt.Result{Start: begin}
	for _, part := range response.GetResults() {
		end, err := offset(part.GetResultEndOffset())
		if err != nil {
			return nil, err
		}
		end = max(end, begin)
		words, err := wordsOf(part, begin, end)
		if err != nil {
			return nil, err
		}
		if part.GetIsFinal() {
			if len(words) > 0 {
				end = max(end, words[len(words)-1].End)
			}
			results = append(results, stt.Result{Words: words, Start: begin, End: end, Final: true})
			interim = stt.Result{Start: end}
		} else {
			interim.Words = append(interim.Words, words...)
			interim.End = end
		}
		begin = end
	}
	if interim.End > interim.Start {
		results = append(results, interim)
	}
	return results, nil
}

// wordsOf are the words of a result from begin to end. Where there are no times, as in interim results, all is one.
func wordsOf(part *speechpb.StreamingRecognitionResult, begin, end time.Duration) ([]stt.Word, error) {
	if len(part.GetAlternatives()) == 0 {
		return nil, nil
	}
	best := part.GetAlternatives()[0]
	var words []stt.Word
	timed := false
	for _, w := range best.GetWords() {
		start, err := offset(w.GetStartOffset())
		if err != nil {
			return nil, err
		}
		stop, err := offset(w.GetEndOffset())
		if err != nil {
			return nil, err
		}
		timed = timed || stop > 0
		// With diarization all words since the beginning come again.
		if w.GetWord() == "" || w.GetSpeakerLabel() != "" && (start+stop)/2 < begin {
			continue
		}
		words = append(words, stt.Word{
			Text: w.GetWord(), Start: start, End: max(start, stop), Speaker: speaker(w.GetSpeakerLabel()),
		})
	}
	if timed {
		return words, nil
	}
	text := strings.TrimSpace(best.GetTranscript())
	if text == "" {
		return nil, nil
	}
	return []stt.Word{{Text: text, Start: begin, End: end, Speaker: stt.UnknownSpeaker}}, nil
}

// speaker is the number behind a label; labels are numbers from 1.
func speaker(label string) int {
	n, err := strconv.ParseUint(label, 10, 16)
	if err != nil || n == 0 {
		return stt.UnknownSpeaker // no label, or one that nobody has seen yet
	}
	return int(n) - 1
}

func offset(d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, stt.Fail(Name, stt.Malformed, err)
	}
	if at := d.AsDuration(); at >= 0 && at <= longest {
		return at, nil
	}
	return 0, stt.Fail(Name, stt.Malformed, fmt.Errorf("an offset of %v", d.AsDuration()))
}

// broken is the failure behind the status of a call, https://cloud.google.com/speech-to-text/docs/error-messages.
func broken(err error) error {
	s := status.Convert(err)
	cause := errors.New(s.Code().String() + ": " + shorten(s.Message()))
	message := strings.ToLower(s.Message())
	failure := stt.Unavailable
	switch s.Code() {
	case codes.Unauthenticated, codes.PermissionDenied:
		failure = stt.Credentials
	case codes.ResourceExhausted:
		failure = stt.Quota
		if strings.Contains(message, "message larger than max") { // the gRPC library's own words: over readLimit
			failure = stt.Malformed
		}
	case codes.InvalidArgument:
		failure = stt.Rejected
		if strings.Contains(message, "language") && strings.Contains(message, "not supported") {
			failure = stt.UnsupportedLanguage
		}
	case codes.NotFound, codes.FailedPrecondition, codes.Unimplemented:
		failure = stt.Rejected
	case codes.Internal:
		if strings.Contains(message, "unmarshal") { // the gRPC library's own word
			failure = stt.Malformed
		}
	}
	return stt.Fail(Name, failure, cause)
}

// overdue reports whether the service ended a call since it has lasted, or has gone without audio, for too long.
func overdue(err error) bool {
	code := status.Code(err)
	return code == codes.Aborted || code == codes.OutOfRange
}

// shorten keeps what a server says from flooding a log.
func shorten(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
