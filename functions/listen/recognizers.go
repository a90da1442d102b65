package main

import (
	"context"
	"errors"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/functions/listen/stt/failover"
	"earshot.dev/functions/listen/stt/googlespeech"
)

// openRecognizer makes one recogniser of those that the configuration names. The function closes them.
func openRecognizer(ctx context.Context, cfg config) (recognizer stt.Recognizer, closeAll func() error, err error) {
	var all []stt.Recognizer
	closeAll = func() error { return nil }
	if cfg.Recognizers.Mentions(deepgram.Name) {
		if cfg.DeepgramAPIKey == "" {
			return nil, nil, errors.New("DEEPGRAM_API_KEY is empty, and RECOGNIZERS names deepgram")
		}
		for _, url := range cfg.DeepgramURLs {
			r, err := deepgram.New(deepgram.Config{
				URL: url, Key: cfg.DeepgramAPIKey, Model: cfg.DeepgramModel, Languages: cfg.DeepgramLanguages,
			})
			if err != nil {
				return nil, nil, err
			}
			all = append(all, r)
		}
	}
	if cfg.Recognizers.Mentions(googlespeech.Name) {
		google := cfg.GoogleSpeech
		r, err := googlespeech.New(ctx, googlespeech.Config{
			Project: cfg.ProjectID, Location: google.Location, Recognizer: google.Recognizer, Model: google.Model,
			Languages: google.Languages, Multi: google.Multi, Diarization: google.Diarization,
		})
		if err != nil {
			return nil, nil, err
		}
		all = append(all, r)
		closeAll = r.Close
	}
	recognizer, err = failover.New(cfg.Recognizers, failover.Options{}, all...)
	return recognizer, closeAll, err
}
