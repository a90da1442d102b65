package main

import (
	"encoding/json"
	"net/http"

	"earshot.dev/functions/sweep/sweeper"
	"earshot.dev/shared/fault"
	"earshot.dev/shared/logging"
)

// sweep answers a call of the scheduler with what the pass did.
func sweep(s *sweeper.Sweeper) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		report, err := s.Sweep(r.Context())
		if err != nil {
			logging.Error(r.Context(), "sweep_failed", err)
			http.Error(w, fault.ReasonOf(err), fault.KindOf(err).HTTPStatus())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(report) // a scheduler that has gone needs no report
	}
}
