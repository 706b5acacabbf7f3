package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tallylog/tally/deploy/applog"
	"github.com/tallylog/tally/server/answer"
)

const (
	// maxBody is more than a review can have: the API server takes requests of up to 3 MiB, and a review holds the object once or twice.
	maxBody    = 8 << 20
	maxAtOnce  = 8
	maxReading = 10 * time.Second // which is the longest that the API server waits by default
	apiVersion = "admission.k8s.io/v1"
)

// review is an AdmissionReview of admission.k8s.io/v1, as far as it matters here.
type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type request struct {
	UID  string `json:"uid"`
	Kind struct {
		Group string `json:"group"`
		Kind  string `json:"kind"`
	} `json:"kind"`
	Namespace string          `json:"namespace"`
	Operation string          `json:"operation"`
	Object    json.RawMessage `json:"object"`
}

type response struct {
	UID       string  `json:"uid"`
	Allowed   bool    `json:"allowed"`
	Status    *status `json:"status,omitempty"`
	PatchType string  `json:"patchType,omitempty"`
	Patch     []byte  `json:"patch,omitempty"` // base64 in JSON, as it is to be
}

type status struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Handler answers POST /webhook/applog.
type Handler struct{ slots chan struct{} }

// New makes a Handler.
func New() *Handler { return &Handler{slots: make(chan struct{}, maxAtOnce)} }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-r.Context().Done():
		return
	case <-time.After(maxReading):
		answer.Fail(w, &answer.Error{Status: http.StatusServiceUnavailable, Code: "busy", Message: "too many reviews at once", RetryAfter: 1})
		return
	}
	// Who sends slowly holds a slot no longer than this; where it cannot be set the server's own bound holds.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxReading))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		answer.Fail(w, answer.Errorf(http.StatusRequestEntityTooLarge, "too_large", "a review has at most %d bytes", maxBody))
		return
	case err != nil:
		answer.Fail(w, answer.Errorf(http.StatusBadRequest, "unreadable", "cannot read the review: %v", err))
		return
	}
	var in review
	if err := json.Unmarshal(body, &in); err != nil {
		answer.Fail(w, answer.Errorf(http.StatusBadRequest, "not_a_review", "cannot read the review: %v", err))
		return
	}
	if in.APIVersion != apiVersion || in.Kind != "AdmissionReview" || in.Request == nil || in.Request.UID == "" {
		answer.Fail(w, answer.Errorf(http.StatusBadRequest, "not_a_review", "an AdmissionReview of %s with a request is wanted", apiVersion))
		return
	}
	answer.JSON(w, http.StatusOK, review{APIVersion: apiVersion, Kind: "AdmissionReview", Response: decide(in.Request)})
}

// decide lets through everything but a new pod that asks for what cannot be.
func decide(r *request) *response {
	out := &response{UID: r.UID, Allowed: true}
	if r.Kind.Group != "" || r.Kind.Kind != "Pod" || r.Operation != "CREATE" {
		return out
	}
	patch, err := applog.Patch(r.Object, r.Namespace)
	switch {
	case err != nil:
		out.Allowed = false
		out.Status = &status{http.StatusUnprocessableEntity, "Invalid", "applog: " + err.Error()}
	case patch != nil:
		out.PatchType, out.Patch = "JSONPatch", patch
	}
	return out
}
