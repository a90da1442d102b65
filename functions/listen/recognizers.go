package main

import (
	"errors"

	"earshot.dev/functions/listen/stt"
	"earshot.dev/functions/listen/stt/deepgram"
	"earshot.dev/functions/listen/stt/failover"
)

// openRecognizer makes one recogniser of those that the configuration names.
func openRecognizer(cfg config) (stt.Recognizer, error) {
	var all []stt.Recognizer
	if cfg.Recognizers.Mentions(deepgram.Name) {
		if cfg.DeepgramAPIKey == "" {
			return nil, errors.New("DEEPGRAM_API_KEY is empty, and RECOGNIZERS names deepgram")
		}
		for _, url := range cfg.DeepgramURLs {
			r, err := deepgram.New(deepgram.Config{
				URL: url, Key: cfg.DeepgramAPIKey, Model: cfg.DeepgramModel, Languages: cfg.DeepgramLanguages,
			})
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	return failover.New(cfg.Recognizers, failover.Options{}, all...)
}
